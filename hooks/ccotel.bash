# shellcheck shell=bash
# ccotel's hook for bash, 3.2 and newer: `claude` becomes `ccotel claude`.
#
#   eval -- "$(ccotel init bash)"
#
# It is a function. An alias of the same name would come before it, so one that is there is looked at
# now, and once more at the first prompt, for a line further below in .bashrc may set one:
#   alias claude='claude --verbose'        stays: what it stands for is our function
#   alias claude='/opt/claude --verbose'   keeps its program and its arguments
#   alias claude='docker run claude'       goes
# Afterwards nothing of ours runs at a prompt. `command claude` is the plain one.

__ccotel_program='ccotel'

function __ccotel_alias {
  builtin alias claude >/dev/null 2>&1 || builtin return 0
  builtin local text word
  text=$(builtin alias claude)
  # It prints itself as a command that would set it again, quoted.
  builtin eval "text=${text#*claude=}"
  text=${text#command }
  text=${text#\\}
  word=${text%%[[:space:]]*}
  # shellcheck disable=SC2139 # it is meant to be put together now
  case $word in
    claude) builtin alias "claude=$text" ;;
    *=*) ;;
    */claude) builtin alias "claude=CCOTEL_CLAUDE=$word claude${text#"$word"}" ;;
    *) builtin unalias claude ;;
  esac
}

function __ccotel_take {
  __ccotel_alias
  function claude {
    # Not `builtin command`: under `set -e` its status would end the shell in spite of a `||`.
    if command -v "$__ccotel_program" >/dev/null 2>&1; then
      command "$__ccotel_program" claude "$@"
    else
      command "${CCOTEL_CLAUDE:-claude}" "$@"
    fi
  }
}

# Without a meaning once it has run: others may have copied PROMPT_COMMAND by then.
function __ccotel_first_prompt {
  builtin local status=$?
  if [[ -n ${__ccotel_waits-} ]]; then
    builtin unset __ccotel_waits
    if [[ ${PROMPT_COMMAND-} == __ccotel_first_prompt ]]; then
      builtin unset PROMPT_COMMAND
    else
      PROMPT_COMMAND=${PROMPT_COMMAND/__ccotel_first_prompt;/}
    fi
    __ccotel_take
  fi
  # Under `set -e` a status that is handed on would end the shell.
  [[ $- == *e* ]] || builtin return "$status"
}

__ccotel_take
if [[ $- == *i* && ${PROMPT_COMMAND-} != *__ccotel_first_prompt* ]]; then
  __ccotel_waits=1
  PROMPT_COMMAND="__ccotel_first_prompt${PROMPT_COMMAND:+;$PROMPT_COMMAND}"
fi
