use super::*;

fn command(command: Option<&str>) -> What {
    What::Prompt { length: None, command: command.map(Into::into) }
}

fn prompt() -> What {
    command(None)
}

fn answer_of(query_source: &str, cache_read_tokens: i64) -> What {
    What::Request(Request {
        model: Some("m".into()),
        query_source: Some(query_source.into()),
        input_tokens: 1,
        cache_read_tokens,
        cache_creation_tokens: 3,
        ..Request::default()
    })
}

fn answer(cache_read_tokens: i64) -> What {
    answer_of("repl_main_thread", cache_read_tokens)
}

fn failed(query_source: &str, status_code: Option<i64>) -> What {
    What::Error {
        model: None,
        query_source: Some(query_source.into()),
        class: None,
        status_code,
        attempt: None,
        duration_ms: None,
    }
}

fn decision_on(tool: &str, accepted: bool, source: &str, id: Option<&str>) -> What {
    What::Decision {
        tool: Some(tool.into()),
        accepted: Some(accepted),
        source: Some(source.into()),
        tool_use_id: id.map(Into::into),
    }
}

fn begin(id: &str) -> What {
    decision_on("Bash", true, "config", Some(id))
}

fn result_of(tool: &str, id: Option<&str>) -> What {
    What::Tool {
        tool: Some(tool.into()),
        success: Some(true),
        duration_ms: None,
        error_type: None,
        accepted: None,
        source: None,
        tool_use_id: id.map(Into::into),
    }
}

fn result(id: &str) -> What {
    result_of("Bash", Some(id))
}

fn entry(time_ms: i64, what: &What) -> Entry {
    Entry { time_ms, prompt_id: None, imported: false, what: what.clone() }
}

/// Seen a second apart; asked a second after the last.
fn tail(events: &[What]) -> (Tail, Doing) {
    let mut tail = Tail::default();
    for (at, what) in (1..).zip(events) {
        tail.see(&entry(at * 1000, what));
    }
    let doing = tail.doing(tail.last_ms + 1000);
    (tail, doing)
}

fn doing(events: &[What]) -> String {
    tail(events).1.words()
}

#[test]
fn a_turn_is_thinking_a_tool_thinking_and_idle() {
    // Claude Code tells of a tool's start before it tells of the answer that asked for it.
    let turn = [prompt(), begin("a"), answer(10), result("a"), answer(20)];
    let words: Vec<_> = (1..=turn.len()).map(|count| doing(&turn[..count])).collect();
    assert_eq!(words, ["thinking", "Bash", "Bash", "thinking", "idle"]);
    assert_eq!(tail(&turn).0.context_tokens, Some(24));
    assert_eq!(tail(&turn[..2]).1.since_ms(), Some(2000));
}

#[test]
fn titles_and_subagents_do_not_end_the_thinking_nor_fill_the_context() {
    for aside in ["generate_session_title", "agent:builtin:Explore", "compact"] {
        let events = [prompt(), answer_of(aside, 9), failed(aside, Some(529))];
        let (tail, doing) = tail(&events);
        assert_eq!((doing.words(), tail.context_tokens), ("thinking".into(), None));
    }
}

#[test]
fn tools_that_run_side_by_side_are_counted_and_end_one_by_one() {
    let both = [prompt(), begin("a"), begin("b"), answer(1)];
    assert_eq!(doing(&both), "Bash +1");
    let one = [both.to_vec(), vec![result("a")]].concat();
    assert_eq!(doing(&one), "Bash");
    assert_eq!(doing(&[one, vec![result("b")]].concat()), "thinking");
}

#[test]
fn without_ids_the_names_tell() {
    let begun = [prompt(), decision_on("Edit", true, "config", None)];
    assert_eq!(doing(&begun), "Edit");
    assert_eq!(doing(&[begun.to_vec(), vec![result_of("Edit", None)]].concat()), "thinking");
}

#[test]
fn a_refusal_by_a_person_waits_for_them_and_one_by_a_rule_does_not() {
    let refused = |source| [prompt(), answer(1), decision_on("Bash", false, source, None)];
    assert_eq!(doing(&refused("user_reject")), "idle");
    assert_eq!(doing(&refused("hook")), "thinking");
}

#[test]
fn a_prompt_ends_what_was_interrupted_and_commands_end_the_session() {
    assert_eq!(doing(&[prompt(), begin("a"), prompt()]), "thinking");
    for last in ["exit", "quit", "clear"] {
        assert_eq!(doing(&[prompt(), answer(1), command(Some(last))]), "ended");
    }
    assert_eq!(doing(&[command(Some("review"))]), "thinking");
}

#[test]
fn a_failure_is_said_with_its_status() {
    assert_eq!(doing(&[prompt(), failed("sdk", Some(529))]), "failed 529");
    assert_eq!(doing(&[prompt(), failed("sdk", None)]), "failed");
}

#[test]
fn silence_ends_the_belief() {
    let (thinking, _) = tail(&[prompt()]);
    assert_eq!(thinking.doing(1000 + THINKING_MS_MAX), Doing::Thinking { since_ms: 1000 });
    assert_eq!(thinking.doing(1001 + THINKING_MS_MAX), Doing::Idle);
    let (tool, _) = tail(&[prompt(), begin("a")]);
    assert_eq!(tool.doing(1000 + THINKING_MS_MAX * 2).words(), "Bash");
    assert_eq!(tool.doing(2001 + TOOL_MS_MAX).words(), "idle");
    // A crowd of tools is bounded.
    let crowd: Vec<_> = (0..200).map(|id| begin(&id.to_string())).collect();
    assert_eq!(tail(&crowd).0.running.len(), TOOLS_MAX);
}
