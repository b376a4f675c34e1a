//! Command line: what was typed, and which room does it.
