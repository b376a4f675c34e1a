# Takes ccotel's hook out of this running zsh:
#
#   eval "$(ccotel init --remove zsh)"
#
# Startup files are left alone; `ccotel uninstall` undoes what `ccotel setup` wrote into them.

function __ccotel_remove {
  emulate -L zsh
  local text word
  # An alias that named a program names it again.
  if builtin alias claude >/dev/null 2>&1; then
    text="$(builtin alias claude)"
    text=${(Q)text#*claude=}
    if [[ $text == CCOTEL_CLAUDE=* ]]; then
      text=${text#CCOTEL_CLAUDE=}
      word=${text%%[[:space:]]*}
      builtin alias "claude=$word${text#$word claude}"
    fi
  fi
  if (( ${+precmd_functions} )); then
    precmd_functions=("${(@)precmd_functions:#__ccotel_first_prompt}")
  fi
  if (( ${+__ccotel_program} )); then
    unfunction claude 2>/dev/null
    unset __ccotel_program
  fi
  unfunction __ccotel_alias __ccotel_take __ccotel_first_prompt __ccotel_remove 2>/dev/null
  return 0
}

__ccotel_remove
