//! Deliver: one task a destination, from the store's lanes to its backend.
