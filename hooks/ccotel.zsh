# ccotel's hook for zsh: `claude` becomes `ccotel claude`.
#
#   eval "$(ccotel init zsh)"
#
# It is a function. An alias of the same name would come before it, so one that is there is looked at
# now, and once more at the first prompt, for a line further below in .zshrc may set one:
#   alias claude='claude --verbose'        stays: what it stands for is our function
#   alias claude='/opt/claude --verbose'   keeps its program and its arguments
#   alias claude='docker run claude'       goes
# Afterwards nothing of ours runs at a prompt. `command claude` is the plain one.

typeset -g __ccotel_program='ccotel'

function __ccotel_alias {
  emulate -L zsh
  # Not by way of $aliases: its module cannot be loaded everywhere.
  builtin alias claude >/dev/null 2>&1 || return 0
  local text word
  text="$(builtin alias claude)"
  text=${(Q)text#*claude=}
  text=${text#command }
  text=${text#\\}
  word=${text%%[[:space:]]*}
  case $word in
    (claude) builtin alias "claude=$text" ;;
    (*=*) ;;
    (*/claude) builtin alias "claude=CCOTEL_CLAUDE=$word claude${text#$word}" ;;
    (*) builtin unalias claude ;;
  esac
  return 0
}

function __ccotel_take {
  __ccotel_alias
  function claude {
    if command -v "$__ccotel_program" >/dev/null 2>&1; then
      command "$__ccotel_program" claude "$@"
    else
      command "${CCOTEL_CLAUDE:-claude}" "$@"
    fi
  }
}

function __ccotel_first_prompt {
  emulate -L zsh
  precmd_functions=("${(@)precmd_functions:#__ccotel_first_prompt}")
  __ccotel_take
}

__ccotel_take
if [[ -o interactive ]]; then
  typeset -ga precmd_functions
  precmd_functions=("${(@)precmd_functions:#__ccotel_first_prompt}" __ccotel_first_prompt)
fi
