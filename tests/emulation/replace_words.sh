#!/bin/bash
# replace_words.sh FROM TO WORDS OTHERS: copies a kernel with OTHERS in place of WORDS; fails if
# there are none.
set -euo pipefail
text=$(<"$1")
changed=${text//"$3"/"$4"}
if [ "$text" = "$changed" ]; then
  echo "$1 has no words '$3'" >&2
  exit 1
fi
printf '%s\n' "$changed" >"$2"
