//! Report: questions to `history.db`, answered as tables or JSON.
