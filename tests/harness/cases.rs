//! Tests that say which parts they need, and are ignored by name where one is missing.

use libtest_mimic::{Failed, Trial};

use super::programs::Program;

/// A test and the parts it cannot do without.
pub struct Case {
    name: String,
    needs: Vec<Program>,
    run: Box<dyn FnOnce() -> anyhow::Result<()> + Send>,
}

impl Case {
    pub fn new(
        name: impl Into<String>,
        needs: &[Program],
        run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), needs: needs.to_vec(), run: Box::new(run) }
    }

    pub fn into_trial(self) -> Trial {
        let missing: Vec<String> =
            self.needs.iter().filter(|it| it.find().is_none()).map(|it| it.missing()).collect();
        let run = self.run;
        let test = move || run().map_err(|error| Failed::from(format!("{error:#}")));
        if missing.is_empty() {
            return Trial::test(self.name, test);
        }
        let name = format!("{} ({})", self.name, missing.join(", "));
        Trial::test(name, test).with_ignored_flag(true)
    }
}
