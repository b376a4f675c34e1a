//! What is typed as `claude`: hooks, and what comes before them.

use crate::harness::programs::Program;
use crate::house::CCOTEL;
use crate::place::Place;
use crate::table::Situation;

pub fn situations() -> Vec<Situation> {
    vec![
        Situation::new("no_hook_in_bash", || {
            with_startup(Program::Bash, ".bashrc", "alias ll='ls -l'\n")
        })
        .needs(Program::Bash)
        .warns("shell", &["in bash, `claude` is Claude Code itself"]),
        Situation::new("an_alias_after_the_hook_in_bash", || {
            // What would look again at the first prompt is overwritten, as some prompts do.
            let text = format!(
                "eval -- \"$({CCOTEL} init bash)\"\nPROMPT_COMMAND='history -a'\n\
                 alias claude='docker run claude'\necho welcome\n"
            );
            with_startup(Program::Bash, ".bashrc", &text)
        })
        .needs(Program::Bash)
        .fails("shell", &["alias claude='docker run claude'", "comes before ccotel"]),
        Situation::new("an_alias_and_no_hook_in_bash", || {
            with_startup(Program::Bash, ".bashrc", "alias claude='/opt/claude -v'\n")
        })
        .needs(Program::Bash)
        .fails("shell", &["/opt/claude -v"]),
        Situation::new("an_alias_after_the_hook_in_zsh", || {
            let text = format!(
                "eval \"$({CCOTEL} init zsh)\"\nprecmd_functions=()\nalias claude='/opt/claude -v'\n"
            );
            with_startup(Program::Zsh, ".zshrc", &text)
        })
        .needs(Program::Zsh)
        .fails("shell", &["in zsh", "/opt/claude -v"]),
        Situation::new("a_function_of_another_tool_in_fish", || {
            let text = "function claude; docker run claude $argv; end\n";
            with_startup(Program::Fish, ".config/fish/config.fish", text)
        })
        .needs(Program::Fish)
        .warns("shell", &["in fish, `claude` is a function that does not lead to ccotel"]),
    ]
}

fn with_startup(shell: Program, file: &str, text: &str) -> Place {
    let mut place = Place::new();
    place.house.set("SHELL", shell.find().unwrap());
    // No service manager is to be talked to.
    place.house.executable("bin/systemctl", "#!/bin/sh\nexit 1\n");
    place.house.write(&format!("home/{file}"), text);
    place
}
