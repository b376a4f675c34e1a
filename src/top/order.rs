//! The order of rows, and which of them a filter lets through.

use std::cmp::{Ordering, Reverse};

use crate::report::live::LiveSession;

/// What rows can be sorted by, in the order of their columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Project,
    Model,
    Cost,
    Rate,
    Context,
    /// When it was last heard of.
    Heard,
    /// When it began.
    Age,
}

impl Column {
    const ALL: [Self; 7] =
        [Self::Project, Self::Model, Self::Cost, Self::Rate, Self::Context, Self::Heard, Self::Age];

    #[must_use]
    pub fn next(self) -> Self {
        Self::ALL[(self.place() + 1) % Self::ALL.len()]
    }

    #[must_use]
    pub fn previous(self) -> Self {
        Self::ALL[(self.place() + Self::ALL.len() - 1) % Self::ALL.len()]
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|column| *column == self).unwrap_or(0)
    }

    /// As the footer and `--help` call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Model => "model",
            Self::Cost => "cost",
            Self::Rate => "tokens a minute",
            Self::Context => "context",
            Self::Heard => "last heard",
            Self::Age => "age",
        }
    }

    /// Whether what is most comes first without a reversal.
    pub fn descends(self) -> bool {
        !matches!(self, Self::Project | Self::Model | Self::Age)
    }
}

/// Sorts; equal ones are in the order of their ids, so that rows do not dance.
pub fn sort(rows: &mut [&LiveSession], column: Column, reversed: bool) {
    let by = |one: &LiveSession, other: &LiveSession| match column {
        Column::Project => texts(one.project.as_deref(), other.project.as_deref()),
        Column::Model => texts(one.model.as_deref(), other.model.as_deref()),
        Column::Cost => one.cost_usd.total_cmp(&other.cost_usd),
        Column::Rate => one.tokens_per_minute().total_cmp(&other.tokens_per_minute()),
        Column::Context => one.context_tokens.cmp(&other.context_tokens),
        Column::Heard => one.last_ms.cmp(&other.last_ms),
        // The youngest has the smallest age.
        Column::Age => Reverse(one.first_ms).cmp(&Reverse(other.first_ms)),
    };
    let descending = column.descends() != reversed;
    rows.sort_by(|one, other| {
        let order = by(one, other);
        let order = if descending { order.reverse() } else { order };
        order.then_with(|| one.session_id.cmp(&other.session_id))
    });
}

/// Without letter case; what has no name comes last.
fn texts(one: Option<&str>, other: Option<&str>) -> Ordering {
    let key = |text: Option<&str>| (text.is_none(), text.map(str::to_lowercase));
    key(one).cmp(&key(other))
}

/// Whether some word of a session holds what was typed, which is in lower case.
pub fn matches(session: &LiveSession, wanted: &str) -> bool {
    let words = [
        Some(&session.session_id),
        session.project.as_ref(),
        session.team.as_ref(),
        session.repository.as_ref(),
        session.branch.as_ref(),
        session.model.as_ref(),
    ];
    wanted.is_empty()
        || words.into_iter().flatten().any(|word| word.to_lowercase().contains(wanted))
        || session.doing.words().to_lowercase().contains(wanted)
}
