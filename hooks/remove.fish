# Takes ccotel's hook out of this running fish:
#
#   ccotel init --remove fish | source
#
# Startup files are left alone; `ccotel uninstall` undoes what `ccotel setup` wrote into them. An alias
# that was set before comes back with the next shell.

if functions -q __ccotel_run
    functions --erase claude __ccotel_run __ccotel_take
    functions -q __ccotel_first_prompt
    and functions --erase __ccotel_first_prompt
    set -e __ccotel_program
end
