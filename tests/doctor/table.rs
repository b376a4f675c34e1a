//! One situation: how it is broken, what doctor has to say, and who mends it.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::programs::Program;
use crate::place::{Place, check};

/// What a person does, who read what doctor said. It may say what to run in the shell, too.
pub type Act = Box<dyn FnOnce(&mut Place) + Send>;

pub struct Situation {
    name: &'static str,
    needs: Vec<Program>,
    /// Breaks a place of its own; gives what a person does to mend it, where a command cannot.
    broken: Box<dyn FnOnce() -> (Place, Option<Act>) + Send>,
    check: &'static str,
    subject: Option<&'static str>,
    verdict: &'static str,
    says: Vec<&'static str>,
}

impl Situation {
    /// One that doctor's own command mends.
    pub fn new(name: &'static str, broken: impl FnOnce() -> Place + Send + 'static) -> Self {
        Self {
            name,
            needs: Vec::new(),
            broken: Box::new(move || (broken(), None)),
            check: "",
            subject: None,
            verdict: "failed",
            says: Vec::new(),
        }
    }

    /// One that takes a person.
    pub fn by_hand(
        name: &'static str,
        broken: impl FnOnce() -> (Place, Act) + Send + 'static,
    ) -> Self {
        let broken = move || {
            let (place, act) = broken();
            (place, Some(act))
        };
        Self { broken: Box::new(broken), ..Self::new(name, Place::without_agent) }
    }

    pub fn needs(mut self, program: Program) -> Self {
        self.needs.push(program);
        self
    }

    /// This check fails, and says these words.
    pub fn fails(mut self, check: &'static str, says: &[&'static str]) -> Self {
        self.check = check;
        self.says = says.to_vec();
        self
    }

    pub fn warns(self, check: &'static str, says: &[&'static str]) -> Self {
        Self { verdict: "warning", ..self.fails(check, says) }
    }

    /// Of this destination.
    pub fn of(mut self, subject: &'static str) -> Self {
        self.subject = Some(subject);
        self
    }

    pub fn into_trial(self) -> Trial {
        let missing: Vec<String> =
            self.needs.iter().filter(|it| it.find().is_none()).map(|it| it.missing()).collect();
        let ignored = !missing.is_empty();
        let lacks = if ignored { format!(" ({})", missing.join(", ")) } else { String::new() };
        let name = format!("{}{lacks}", self.name);
        let run = move || {
            self.run();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    }

    /// Break, diagnose, mend, diagnose again.
    pub fn run(self) {
        let (mut place, act) = (self.broken)();
        let diagnosed = place.doctor("");
        let found = check(&diagnosed, self.check, self.subject);
        assert_eq!(found["verdict"], self.verdict, "{}: {diagnosed:#}", self.name);
        let (why, by_hand) = (text(&found["why"]), text(&found["by_hand"]));
        for words in &self.says {
            let said = format!("{why}\n{by_hand}\n{}", found["details"]);
            assert!(said.contains(words), "{}: {words:?} is not said: {found:#}", self.name);
        }
        assert!(!why.is_empty() && !why.contains('\n'), "{}: {found:#}", self.name);
        let remedy = text(&found["remedy"]).to_owned();
        assert!(!remedy.contains('\n'), "{}: one command: {remedy}", self.name);
        if let Some(act) = act {
            assert!(!by_hand.is_empty(), "{}: a person is told nothing: {found:#}", self.name);
            act(&mut place);
        } else {
            assert!(!remedy.is_empty(), "{}: there is no command: {found:#}", self.name);
        }
        let again = place.doctor(&remedy);
        let mended = check(&again, self.check, self.subject);
        assert_eq!(
            mended["verdict"], "ok",
            "{}: `{remedy}` does not mend it: {again:#}",
            self.name
        );
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
