//! What is not there: an agent, a history, fields, an input, a home.

use anyhow::{Result, ensure};

use crate::harness::sandbox::Sandbox;
use crate::{line, run};

#[test]
fn a_broken_input_prints_a_short_line() -> Result<()> {
    let sandbox = Sandbox::new()?;
    for broken in ["", "{", "null", "[]", "\u{0}\u{1}", &"x".repeat(3 << 20)] {
        let said = line(&sandbox, &[], broken)?;
        assert_eq!(said, "ccotel: no session on standard input\n");
    }
    Ok(())
}

#[test]
fn without_an_agent_and_a_history_it_says_what_it_was_told() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let limits =
        r#"{"rate_limits":{"five_hour":{"used_percentage":12,"resets_at":null},"seven_day":null}}"#;
    for (input, expected) in [
        ("{}", "ccotel\n"),
        (r#"{"cost":null,"context_window":{"used_percentage":null}}"#, "ccotel\n"),
        (r#"{"cost":{"total_cost_usd":0.5},"new":{"field":[1]}}"#, "$0.50 session\n"),
        (limits, "5h 12%\n"),
        (r#"{"cwd":"/no/such/directory/anywhere"}"#, "anywhere\n"),
        (
            r#"{"cost":{"total_cost_usd":1e308},"context_window":{"used_percentage":-5}}"#,
            "ccotel\n",
        ),
        (r#"{"context_window":{"used_percentage":1e300}}"#, "ccotel\n"),
        (r#"{"rate_limits":{"five_hour":{"used_percentage":-3}}}"#, "ccotel\n"),
        (
            r#"{"rate_limits":{"five_hour":{"used_percentage":3,"resets_at":99999999999}}}"#,
            "ccotel\n",
        ),
    ] {
        assert_eq!(line(&sandbox, &["--no-color"], input)?, expected, "{input}");
    }
    ensure!(!sandbox.data_dir().join("agent.json").exists(), "it starts no agent");
    Ok(())
}

#[test]
fn without_a_home_and_with_a_damaged_history_and_configuration_it_is_still_a_line() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let input = r#"{"cost":{"total_cost_usd":2}}"#;
    let mut command = sandbox.ccotel(&["statusline", "--no-color"]);
    for name in ["HOME", "CCOTEL_CONFIG_DIR", "CCOTEL_DATA_DIR", "CCOTEL_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    ensure!(run(command, input)?.starts_with("$2.00 session"));
    std::fs::create_dir_all(sandbox.data_dir())?;
    std::fs::write(sandbox.data_dir().join("history.db"), "no database".repeat(500))?;
    std::fs::write(sandbox.config_dir().join("config.toml"), "[budget\n")?;
    assert_eq!(line(&sandbox, &["--no-color"], input)?, "$2.00 session\n");
    Ok(())
}

#[test]
fn an_agent_that_hangs_holds_up_nothing() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    let worker = rustix::process::Pid::from_raw(sandbox.worker_pid()?);
    let worker = worker.ok_or_else(|| anyhow::anyhow!("no worker"))?;
    rustix::process::kill_process(worker, rustix::process::Signal::STOP)?;
    let later = jiff::Timestamp::now().as_second() + 3630;
    let input =
        format!(r#"{{"rate_limits":{{"five_hour":{{"used_percentage":7,"resets_at":{later}}}}}}}"#);
    // More than wait in the kernel for a worker.
    let said: Vec<_> = (0..20).map(|_| line(&sandbox, &["--no-color"], &input)).collect();
    rustix::process::kill_process(worker, rustix::process::Signal::CONT)?;
    for said in said {
        ensure!(said?.contains("5h 7% (1h00m)"));
    }
    Ok(())
}
