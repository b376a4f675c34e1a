//! The store against a trivially right model: random sessions, retries, reorderings, crashes, ticks,
//! deliveries, clocks that jump, a disk limit that bites and destinations that come and go, in any order.
//!
//! A crash inside a step is made from the log: cut after any of the step's commits, it is what a kill or a
//! power cut at that moment would have left.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod files;
mod steps;
mod world;

use proptest::prelude::*;

use steps::step;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn totals_are_the_true_ones_whatever_happens(steps in prop::collection::vec(step(), 1..70)) {
        let mut world = World::new();
        world.connect(0, true);
        for step in &steps {
            world.step(step);
        }
        world.settle_all();
        world.crash();
        world.settle_all();
    }
}
