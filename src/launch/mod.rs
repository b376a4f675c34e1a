//! Launch: from `ccotel claude ARGS` to the real `claude`, by `exec`.
