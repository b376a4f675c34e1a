//! The files of a store, and where the commits of its log end.

/// What is on disk.
pub struct Files {
    pub database: Vec<u8>,
    pub log: Vec<u8>,
    pub mark: Vec<u8>,
}

/// Where each commit of a write-ahead log ends, in bytes (sqlite.org/fileformat.html#the_write_ahead_log).
pub fn commit_ends(log: &[u8]) -> Vec<usize> {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 4096;
    let Some(salts) = log.get(16..24) else { return Vec::new() };
    let frames = log[HEADER..].chunks_exact(FRAME).enumerate();
    frames
        .take_while(|(_, frame)| &frame[8..16] == salts)
        .filter(|(_, frame)| frame[4..8] != [0; 4])
        .map(|(number, _)| HEADER + (number + 1) * FRAME)
        .collect()
}
