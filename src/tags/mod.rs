//! Tags: which team, project and other labels a session gets, and which file each came from.
