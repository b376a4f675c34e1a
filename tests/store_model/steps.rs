//! What can happen, and how often.

use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A process reports its counter: `(process, growth)`; `copies` deliveries of the same body.
    Cumulative {
        process: u8,
        growth: u8,
        copies: u8,
    },
    /// The same, held back and delivered after the next one of that process.
    CumulativeLate {
        process: u8,
        growth: u8,
    },
    Delta {
        process: u8,
        amount: u8,
        copies: u8,
    },
    /// A counter whose start is unknown, which begins again from 0 now and then.
    Unstarted {
        process: u8,
        value: u8,
    },
    Events {
        count: u8,
        copies: u8,
    },
    /// The clock is set, forwards or back.
    Jump {
        minutes: i32,
    },
    /// The disk limit falls so low that all that may go goes, and is lifted again.
    Squeeze,
    History,
    Disconnect {
        destination: u8,
    },
    /// Dies after so many of the step's commits; the client sends again.
    CrashWithin {
        step: Box<Step>,
        commits: u8,
    },
    Pass {
        seconds: u16,
    },
    Tick,
    Crash,
    /// A destination takes at most so much of a lane.
    Deliver {
        destination: u8,
        lane: bool,
        records_max: u8,
    },
    /// Frozen, and then the agent dies before the outcome is known.
    DeliverAndCrash {
        destination: u8,
        lane: bool,
        records_max: u8,
    },
    Connect {
        destination: u8,
        all: bool,
    },
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => whole_step(),
        4 => (whole_step(), any::<u8>()).prop_map(|(step, commits)| Step::CrashWithin { step: Box::new(step), commits }),
    ]
}

fn jump() -> impl Strategy<Value = i32> {
    prop_oneof![-4..5, -700..700, -14_400..14_400]
}

fn whole_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u8..2, 0u8..50).prop_map(|(process, value)| Step::Unstarted { process, value }),
        3 => jump().prop_map(|minutes| Step::Jump { minutes }),
        2 => Just(Step::Squeeze),
        1 => Just(Step::History),
        1 => (0u8..3).prop_map(|destination| Step::Disconnect { destination }),
        4 => (0u8..4, 0u8..50, 1u8..3).prop_map(|(process, growth, copies)| Step::Cumulative { process, growth, copies }),
        2 => (0u8..4, 1u8..50).prop_map(|(process, growth)| Step::CumulativeLate { process, growth }),
        3 => (0u8..4, 0u8..50, 1u8..3).prop_map(|(process, amount, copies)| Step::Delta { process, amount, copies }),
        2 => (1u8..5, 1u8..3).prop_map(|(count, copies)| Step::Events { count, copies }),
        3 => (1u16..600).prop_map(|seconds| Step::Pass { seconds }),
        4 => Just(Step::Tick),
        1 => Just(Step::Crash),
        3 => (0u8..3, any::<bool>(), 1u8..9).prop_map(|(destination, lane, records_max)| Step::Deliver { destination, lane, records_max }),
        2 => (0u8..3, any::<bool>(), 1u8..9).prop_map(|(destination, lane, records_max)| Step::DeliverAndCrash { destination, lane, records_max }),
        1 => (0u8..3, any::<bool>()).prop_map(|(destination, all)| Step::Connect { destination, all }),
    ]
}
