# At the first installation only: an upgrade has nothing to set up.
if [ "$1" = 1 ]; then
  echo "ccotel: to count what you type as \`claude\`, and your editors' sessions, run (as yourself): ccotel setup"
fi
