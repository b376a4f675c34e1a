//! Agent: the holder that keeps locks and sockets, and the worker that does the work.

pub mod control;
pub mod ensure;
pub mod notice;
