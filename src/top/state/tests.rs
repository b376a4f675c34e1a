use super::*;

fn session(id: &str, project: &str, cost_usd: f64) -> LiveSession {
    LiveSession {
        session_id: id.into(),
        project: Some(project.into()),
        cost_usd,
        active: true,
        ..LiveSession::default()
    }
}

fn sessions() -> Vec<LiveSession> {
    vec![session("a", "shop", 1.0), session("b", "Blog", 3.0), session("c", "infra", 2.0)]
}

fn looking() -> (State, Vec<LiveSession>) {
    let (mut state, sessions) = (State::default(), sessions());
    state.arrived(&sessions);
    (state, sessions)
}

fn ids(state: &State, sessions: &[LiveSession]) -> String {
    state.rows(sessions).iter().map(|session| &*session.session_id).collect()
}

fn press(state: &mut State, sessions: &[LiveSession], keys: &[Key]) -> Effect {
    keys.iter().fold(Effect::Nothing, |_, key| state.key(*key, sessions))
}

fn letters(text: &str) -> Vec<Key> {
    text.chars().map(Key::Letter).collect()
}

#[test]
fn the_dearest_is_first_and_selected() {
    let (state, sessions) = looking();
    assert_eq!(ids(&state, &sessions), "bca");
    assert_eq!(state.selected.as_deref(), Some("b"));
}

#[test]
fn columns_go_round_in_both_directions_and_can_be_reversed() {
    let (mut state, sessions) = looking();
    press(&mut state, &sessions, &letters("r"));
    assert_eq!(ids(&state, &sessions), "acb");
    press(&mut state, &sessions, &letters("r<<"));
    assert_eq!(state.column, Column::Project);
    assert_eq!(ids(&state, &sessions), "bca", "names ascend, whatever their case");
    press(&mut state, &sessions, &letters("<"));
    assert_eq!(state.column, Column::Age);
    press(&mut state, &sessions, &letters("s"));
    assert_eq!(state.column, Column::Project);
    press(&mut state, &sessions, &[Key::Right, Key::Right, Key::Left]);
    assert_eq!(state.column, Column::Model);
}

#[test]
fn the_selection_stays_on_its_session_and_within_the_rows() {
    let (mut state, mut sessions) = looking();
    press(&mut state, &sessions, &letters("jj"));
    assert_eq!(state.selected.as_deref(), Some("a"));
    press(&mut state, &sessions, &letters("jjj"));
    assert_eq!(state.selected.as_deref(), Some("a"), "there is no next one");
    sessions[0].cost_usd = 9.0;
    state.arrived(&sessions);
    assert_eq!(state.selected.as_deref(), Some("a"), "though it is the first now");
    sessions.remove(0);
    state.arrived(&sessions);
    assert_eq!(state.selected.as_deref(), Some("b"), "the first one left");
    press(&mut state, &[], &[Key::Down, Key::Up, Key::End, Key::PageUp, Key::Enter]);
    state.arrived(&[]);
    assert_eq!((state.selected.clone(), state.view.clone()), (None, View::Table));
}

#[test]
fn pages_and_ends_are_reached() {
    let (mut state, sessions) = looking();
    let ends = [
        (Key::End, "a"),
        (Key::Home, "b"),
        (Key::PageDown, "a"),
        (Key::PageUp, "b"),
        (Key::Letter('G'), "a"),
        (Key::Letter('g'), "b"),
    ];
    for (key, wanted) in ends {
        press(&mut state, &sessions, &[key]);
        assert_eq!(state.selected.as_deref(), Some(wanted), "{key:?}");
    }
}

#[test]
fn quitting_is_possible_from_everywhere() {
    let (mut state, sessions) = looking();
    assert_eq!(press(&mut state, &sessions, &letters("q")), Effect::Quit);
    assert_eq!(press(&mut state, &sessions, &[Key::Escape]), Effect::Quit);
    let everywhere = ["", "?", "/x", "\n"];
    for keys in everywhere {
        let keys: Vec<Key> = keys
            .chars()
            .map(|key| if key == '\n' { Key::Enter } else { Key::Letter(key) })
            .collect();
        let (mut state, sessions) = looking();
        press(&mut state, &sessions, &keys);
        assert_eq!(press(&mut state, &sessions, &[Key::Ctrl('c')]), Effect::Quit, "{keys:?}");
        assert_eq!(press(&mut state, &sessions, &[Key::Ctrl('z')]), Effect::Suspend);
    }
}

#[test]
fn any_key_leaves_the_help_and_does_nothing_else() {
    let (mut state, sessions) = looking();
    press(&mut state, &sessions, &letters("?"));
    assert_eq!(state.over, Over::Help);
    assert_eq!(press(&mut state, &sessions, &letters("q")), Effect::Nothing);
    assert_eq!(state.over, Over::Nothing);
}

#[test]
fn a_filter_is_typed_kept_and_dropped() {
    let (mut state, sessions) = looking();
    press(&mut state, &sessions, &letters("/BLO"));
    assert_eq!(ids(&state, &sessions), "b");
    press(&mut state, &sessions, &[Key::Backspace, Key::Backspace, Key::Backspace]);
    press(&mut state, &sessions, &letters("infraq"));
    assert_eq!(ids(&state, &sessions), "", "q is a letter here");
    press(&mut state, &sessions, &[Key::Backspace, Key::Enter]);
    assert_eq!((ids(&state, &sessions), state.over), ("c".into(), Over::Nothing));
    assert_eq!(state.selected.as_deref(), Some("c"));
    assert_eq!(press(&mut state, &sessions, &[Key::Escape]), Effect::Nothing, "it was the filter");
    assert_eq!(ids(&state, &sessions), "bca");
    press(&mut state, &sessions, &letters("/"));
    press(&mut state, &sessions, &letters(&"x".repeat(1000)));
    assert_eq!(state.filter.len(), FILTER_LETTERS_MAX);
    press(&mut state, &sessions, &[Key::Ctrl('u')]);
    assert_eq!((&*state.filter, state.over), ("", Over::Filter));
}

#[test]
fn a_story_is_opened_scrolled_and_left() {
    let (mut state, sessions) = looking();
    assert_eq!(press(&mut state, &sessions, &[Key::Down, Key::Enter]), Effect::Look);
    assert_eq!((state.view.clone(), state.selected.as_deref()), (View::Detail, Some("c")));
    state.scrolled_max = 30;
    press(&mut state, &sessions, &letters("kkk"));
    assert_eq!(state.scrolled, 3);
    press(&mut state, &sessions, &[Key::PageUp, Key::PageUp, Key::PageUp, Key::PageUp]);
    assert_eq!(state.scrolled, 30, "not beyond its beginning");
    press(&mut state, &sessions, &letters("Gj"));
    assert_eq!(state.scrolled, 0);
    press(&mut state, &sessions, &letters("g"));
    assert_eq!(state.scrolled, 30);
    // Its session ends meanwhile: it is still looked at.
    state.arrived(&sessions[..1]);
    assert_eq!(state.selected.as_deref(), Some("c"));
    assert_eq!(press(&mut state, &sessions[..1], &letters("q")), Effect::Nothing);
    assert_eq!((state.view, state.selected.as_deref()), (View::Table, Some("a")));
}
