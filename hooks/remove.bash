# shellcheck shell=bash
# Takes ccotel's hook out of this running bash:
#
#   eval -- "$(ccotel init --remove bash)"
#
# Startup files are left alone; `ccotel uninstall` undoes what `ccotel setup` wrote into them.

function __ccotel_remove {
  builtin local text word
  # An alias that named a program names it again.
  if builtin alias claude >/dev/null 2>&1; then
    text=$(builtin alias claude)
    builtin eval "text=${text#*claude=}"
    if [[ $text == CCOTEL_CLAUDE=* ]]; then
      text=${text#CCOTEL_CLAUDE=}
      word=${text%%[[:space:]]*}
      # shellcheck disable=SC2139 # it is meant to be put together now
      builtin alias "claude=$word${text#"$word claude"}"
    fi
  fi
  if [[ ${PROMPT_COMMAND-} == __ccotel_first_prompt ]]; then
    builtin unset PROMPT_COMMAND
  elif [[ -n ${PROMPT_COMMAND-} ]]; then
    PROMPT_COMMAND=${PROMPT_COMMAND/__ccotel_first_prompt;/}
  fi
  if [[ -n ${__ccotel_program-} ]]; then
    builtin unset -f claude
    builtin unset __ccotel_program
  fi
  builtin unset __ccotel_waits
  builtin unset -f __ccotel_alias __ccotel_take __ccotel_first_prompt __ccotel_remove
}

__ccotel_remove
