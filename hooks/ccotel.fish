# ccotel's hook for fish: `claude` becomes `ccotel claude`.
#
#   ccotel init fish | source
#
# An alias is a function in fish, and the last definition holds; therefore it is made once more at the
# first prompt, for a later line may set one. What an alias adds is kept:
#   alias claude 'claude --verbose'        keeps its arguments
#   alias claude '/opt/claude --verbose'   keeps its program, too
#   alias claude 'docker run claude'       goes
# Afterwards nothing of ours runs at a prompt. `command claude` is the plain one.

set -g __ccotel_program ccotel

function __ccotel_run
    if command -q $__ccotel_program
        command $__ccotel_program claude $argv
    else if set -q CCOTEL_CLAUDE
        command $CCOTEL_CLAUDE $argv
    else
        command claude $argv
    end
end

function __ccotel_take
    set -l program
    set -l added
    if functions -q claude
        set -l body (functions claude)
        string match -q '*__ccotel_run*' -- $body
        and return
        set -l found (string match -r '^\s*(?:command )?((?:\S*/)?claude)((?: .*)?) \$argv;?\s*$' -- $body)
        if set -q found[3]
            set added $found[3]
            if string match -q '*/*' -- $found[2]
                set program "CCOTEL_CLAUDE=$found[2] "
            end
        end
    end
    eval "function claude; $program""__ccotel_run$added \$argv; end"
end

function __ccotel_first_prompt --on-event fish_prompt
    functions --erase __ccotel_first_prompt
    __ccotel_take
end

__ccotel_take
