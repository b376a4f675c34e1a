//! Config: `config.toml`, read, layered, watched and edited.

pub mod destination;
