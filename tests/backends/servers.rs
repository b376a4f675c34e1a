//! Servers that take long to start: one for the whole process, told apart by tenants.

use std::sync::{Arc, Mutex};

use anyhow::Result;

use crate::harness::loki::{Loki, Which};

static REAL_LOKI: Mutex<Option<Arc<Loki>>> = Mutex::new(None);

/// The real one is started by the first who asks; the stand-in is each test's own.
pub fn loki(which: Which) -> Result<Arc<Loki>> {
    if which == Which::StandIn {
        return Ok(Arc::new(Loki::start_with_tenants(which)?));
    }
    // A test that panicked has no more than its own share of it.
    let mut real = REAL_LOKI.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(loki) = &*real {
        return Ok(Arc::clone(loki));
    }
    let loki = Arc::new(Loki::start_with_tenants(which)?);
    *real = Some(Arc::clone(&loki));
    Ok(loki)
}

/// Statics are never dropped.
pub fn stop() {
    let mut real = REAL_LOKI.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    drop(real.take());
}
