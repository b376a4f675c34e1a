//! Budgets that are none, and what a repository may say of them.

use anyhow::Result;
use serde_json::json;

use crate::harness::sandbox::Sandbox;

fn sandbox(budget: &str) -> Result<Sandbox> {
    let sandbox = Sandbox::new()?;
    let file = sandbox.config_dir().join("config.toml");
    let listen = std::fs::read_to_string(&file)?;
    std::fs::write(file, format!("{listen}{budget}"))?;
    Ok(sandbox)
}

/// The problems, each as `line: what`.
fn problems(budget: &str) -> Result<Vec<String>> {
    let sandbox = sandbox(budget)?;
    let output = sandbox.ccotel(&["config", "check", "--json"]).output()?;
    let document: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let errors = document["valid"] == json!(false);
    assert_eq!(output.status.code(), Some(i32::from(errors)), "{document}");
    let problems = document["problems"].as_array().cloned().unwrap_or_default();
    let words = |it: &serde_json::Value| {
        format!("{}: {}; {}", it["line"], it["what"], it["remedy"]).replace('"', "")
    };
    Ok(problems.iter().map(words).collect())
}

#[test]
fn a_wrong_budget_names_its_line_and_key() -> Result<()> {
    let said = problems(
        "[budget]\ndaily_usd = -1\nweekly_usd = \"50\"\nmonthly_usd = 0\ndayly_usd = 5\n\
         [budget.project.checkout]\nmonthly_usd = inf\n[budget.team]\npayments = 5\n\"\" = {}\n",
    )?;
    let expected = [
        "4: `budget.daily_usd` must be at least 0.01",
        "5: `budget.weekly_usd` must be a number, and is a string",
        "6: `budget.monthly_usd` must be at least 0.01",
        "7: unknown key `budget.dayly_usd`; did you mean `daily_usd`?",
        "9: `budget.project.checkout.monthly_usd` must be at least 0.01",
        "11: `budget.team.payments` must be a table, and is a whole number",
        "is the name of no team",
    ];
    for words in expected {
        assert!(said.iter().any(|line| line.contains(words)), "{words}: {said:#?}");
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    Ok(())
}

#[test]
fn there_are_not_more_than_a_named_number() -> Result<()> {
    let tables = (0..40).map(|it| format!("[budget.project.p{it}]\ndaily_usd = 1\n"));
    let many = tables.collect::<Vec<_>>().concat();
    let said = problems(&many)?;
    assert!(said.len() == 1 && said[0].contains("more than 32 budgets"), "{said:?}");
    let shown = sandbox(&many)?.json(&["config", "show", "--json"])?;
    let values = shown["values"].as_array().cloned().unwrap_or_default();
    let budgets =
        values.iter().filter(|it| it["key"].as_str().is_some_and(|key| key.ends_with("daily_usd")));
    assert_eq!(budgets.count(), 32);
    let limits = shown["limits"].as_array().cloned().unwrap_or_default();
    assert!(limits.iter().any(|it| it["name"] == "config.budgets" && it["value"] == 32));
    Ok(())
}

#[test]
fn every_budget_is_shown_with_its_place() -> Result<()> {
    let sandbox = sandbox(
        "[budget]\nmonthly_usd = 600\nnotify = false\n[budget.team.payments]\nweekly_usd = 99.5\n",
    )?;
    let shown = sandbox.json(&["config", "show", "--json"])?;
    let found = |key: &str| {
        let values = shown["values"].as_array().cloned().unwrap_or_default();
        values
            .into_iter()
            .find(|it| it["key"] == key)
            .map(|it| (it["value"].clone(), it["line"].clone()))
    };
    assert_eq!(found("budget.monthly_usd"), Some((json!(600.0), json!(4))));
    assert_eq!(found("budget.team.payments.weekly_usd"), Some((json!(99.5), json!(7))));
    assert_eq!(found("budget.notify"), Some((json!(false), json!(5))));
    Ok(())
}

#[test]
fn a_repository_states_one_that_is_only_shown() -> Result<()> {
    let sandbox = sandbox("[budget]\ndaily_usd = 10\n[budget.project.checkout]\ndaily_usd = 5\n")?;
    let file = sandbox.repository().join(".ccotel.toml");
    std::fs::write(
        &file,
        "project = \"checkout\"\n[budget]\ndaily_usd = 1000\nmonthly_usd = 7\nnotify = false\n\
         [budget.project.checkout]\ndaily_usd = 1000\n",
    )?;
    let tags = sandbox.json(&["tags", "--json"])?;
    let budgets = tags["budgets"].as_array().cloned().unwrap_or_default();
    let amounts: Vec<_> = budgets.iter().map(|it| (&it["period"], &it["budget_usd"])).collect();
    assert_eq!(
        amounts,
        [(&json!("daily"), &json!(1000.0)), (&json!("monthly"), &json!(7.0))],
        "{tags}"
    );
    // What it may not say is unknown there, and changes nothing of the user's own.
    let problems = tags["problems"].to_string();
    for key in ["budget.notify", "budget.project"] {
        assert!(problems.contains(&format!("unknown key `{key}`")), "{problems}");
    }
    let status = sandbox.ccotel(&["status", "--json"]).output()?;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
    let own: Vec<_> = status["budgets"].as_array().cloned().unwrap_or_default();
    let own: Vec<_> = own.iter().map(|it| it["budget_usd"].clone()).collect();
    assert_eq!(own, [json!(10.0), json!(5.0)]);
    Ok(())
}
