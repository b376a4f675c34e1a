//! Gzip bodies, decompressed step by step: a bomb is noticed when it has grown to the limit, not
//! before it is paid for.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;

/// Decompressed at once; other requests get their turn in between.
pub const STEP_BYTES: usize = 1 << 20;

/// A body that is being decompressed.
pub struct Gunzip<'b> {
    decoder: MultiGzDecoder<&'b [u8]>,
    whole: Vec<u8>,
    bytes_max: usize,
}

/// What one step gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub bytes: usize,
    /// The body is whole.
    pub is_last: bool,
}

/// Why a body cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GunzipError {
    #[error("the body is not valid gzip: {0}")]
    Invalid(String),
    #[error("the decompressed body is larger than {0} bytes")]
    TooLarge(usize),
}

impl<'b> Gunzip<'b> {
    pub fn new(body: &'b [u8], bytes_max: usize) -> Self {
        Self { decoder: MultiGzDecoder::new(body), whole: Vec::new(), bytes_max }
    }

    pub fn step(&mut self) -> Result<Step, GunzipError> {
        // One more than may be, so that a body of just the limit is not mistaken.
        let room = STEP_BYTES.min(self.bytes_max + 1 - self.whole.len());
        let bytes = (&mut self.decoder)
            .take(room as u64)
            .read_to_end(&mut self.whole)
            .map_err(|error| GunzipError::Invalid(error.to_string()))?;
        if self.whole.len() > self.bytes_max {
            return Err(GunzipError::TooLarge(self.bytes_max));
        }
        Ok(Step { bytes, is_last: bytes < room })
    }

    pub fn into_whole(self) -> Vec<u8> {
        self.whole
    }
}
