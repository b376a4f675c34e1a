use proptest::prelude::*;

use super::*;

fn any_use() -> impl Strategy<Value = Use> {
    (
        (-3_000_i64..9_000, 0_u32..500, any::<[u16; 4]>(), any::<bool>()),
        prop::sample::select(vec![None, Some("checkout"), Some("search")]),
        prop::sample::select(vec!["claude-opus-4-8", "claude-haiku-4-5"]),
        prop::sample::select(vec!["s1", "s2", "s3"]),
        prop::sample::select(vec![None, Some("acme/shop"), Some("acme/web")]),
    )
        .prop_map(
            |((minute, cents, tokens, event_lost), project, model, session, repository)| Use {
                minute,
                project,
                model,
                session,
                repository,
                cents,
                tokens: tokens.map(u32::from),
                event_lost,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Promise 3: the same number for the same question, however it is grouped.
    #[test]
    fn totals_do_not_depend_on_the_grouping(uses in prop::collection::vec(any_use(), 1..25)) {
        let mut recorded = Recorded::new();
        recorded.uses(&uses);
        let cents: u32 = uses.iter().map(|used| used.cents).sum();
        let input: u32 = uses.iter().map(|used| used.tokens[0]).sum();
        let seen = uses.iter().filter(|used| !used.event_lost);
        let sessions: HashSet<&str> = seen.clone().map(|used| used.session).collect();
        for by in [
            &["hour"][..], &["day"], &["week"], &["month"], &["project"], &["team"], &["model"],
            &["tag:nothing"], &["repo"], &["branch"], &["tool"], &["session"], &["user"],
            &["query_source"], &["day", "project"], &["model", "repo"], &["session", "week"],
            &["repo", "user"], &["tool", "project"],
        ] {
            let answer = recorded.ask(by);
            prop_assert!((answer.total.cost_usd - f64::from(cents) / 100.0).abs() < 1e-8, "{:?}", by);
            prop_assert_eq!(answer.total.tokens.input, f64::from(input), "{:?}", by);
            prop_assert_eq!(answer.total.sessions, i64::try_from(sessions.len()).unwrap(), "{:?}", by);
            prop_assert_eq!(answer.total.requests, i64::try_from(seen.clone().count()).unwrap());
            let mut sum = Facts::default();
            for row in &answer.rows {
                sum.add(&row.facts);
            }
            sum.denoise();
            prop_assert!((sum.cost_usd - answer.total.cost_usd).abs() < 1e-7, "{:?}", by);
            prop_assert_eq!(sum.tokens, answer.total.tokens, "{:?}", by);
            prop_assert_eq!(sum.requests, answer.total.requests, "{:?}", by);
        }
    }

    /// Two ranges that meet hold what one over both holds.
    #[test]
    fn ranges_that_meet_add_up(
        uses in prop::collection::vec(any_use(), 1..25),
        cut in -3_000_i64..9_000,
    ) {
        let mut recorded = Recorded::new();
        recorded.uses(&uses);
        let clock = Clock { now: "2026-11-21T10:17:42+01:00[Europe/Paris]".parse().unwrap() };
        let at = clock.rfc3339(START_MS / MINUTE_MS + cut);
        let before = recorded.ask_between(&["project"], "2026-11-01", Some(&at)).total;
        let after = recorded.ask_between(&["project"], &at, Some("2026-12-01")).total;
        let mut both = before;
        both.add(&after);
        both.denoise();
        let whole = recorded.ask(&["project"]).total;
        prop_assert_eq!(both.tokens, whole.tokens);
        prop_assert_eq!(both.requests, whole.requests);
        prop_assert!((both.cost_usd - whole.cost_usd).abs() < 1e-8);
    }
}
