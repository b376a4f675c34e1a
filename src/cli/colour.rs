//! Whether colour is wanted, by the flag and by <https://no-color.org>. Whether it can be shown is asked
//! elsewhere: of the terminal.

/// `no_color` is the flag.
pub fn is_wanted(no_color: bool) -> bool {
    !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
