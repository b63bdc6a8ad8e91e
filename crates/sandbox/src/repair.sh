# Repairs the home of an agent before the agent starts in it. Prints one line for each repair; without damage it prints nothing.
# $1 is the conversation that the agent resumes, or empty.
command -v jq >/dev/null || exit 0
conversation=$1
claude=$HOME/.claude
settings=$HOME/.claude.json
umask 022

# Puts a file aside: aside PATH REASON
aside() {
  rm -rf -- "$1.damaged"
  mv -T -- "$1" "$1.damaged" 2>/dev/null && echo "$1 $2; it is kept as $1.damaged"
}

# Gives the agent a file of its own with the same content: take_over PATH
take_over() {
  cp -rp --no-preserve=ownership -- "$1" "$1.copy" 2>/dev/null && rm -rf -- "$1.damaged" && mv -T -- "$1" "$1.damaged" 2>/dev/null &&
    mv -T -- "$1.copy" "$1" && { rm -rf -- "$1.damaged" 2>/dev/null; echo "$1 belonged to another user; the agent has a copy"; } ||
    { rm -rf -- "$1.copy"; aside "$1" "belongs to another user and cannot be read"; }
}

# Makes a directory usable: directory PATH
directory() {
  if [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; then
    aside "$1" "was not a directory"
  elif [ -d "$1" ] && ! { [ -r "$1" ] && [ -w "$1" ] && [ -x "$1" ]; }; then
    if [ -O "$1" ]; then
      chmod u+rwx -- "$1" && echo "$1 was not accessible; its mode was corrected"
    else
      take_over "$1"
    fi
  fi
}

# Makes a file usable: file PATH
file() {
  if [ -L "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ]; }; then
    aside "$1" "was not a file"
  elif [ -f "$1" ] && ! { [ -r "$1" ] && [ -w "$1" ]; }; then
    if [ -O "$1" ]; then
      chmod u+rw -- "$1" && echo "$1 was not accessible; its mode was corrected"
    else
      take_over "$1"
    fi
  fi
}

# Prints a file without escapes of lone surrogates. The CLI writes and reads them, and jq does not.
readable() { sed -E 's/\\u[dD][89a-fA-F][0-9a-fA-F]{2}/\\u0020/g' -- "$1"; }

is_object() { readable "$1" | jq -es 'length == 1 and (.[0] | type) == "object"' >/dev/null 2>&1; }

# Restores the newest backup of the CLI that is valid.
restore_settings() {
  local backup backups
  backups=("$claude"/backups/.claude.json.backup.*)
  for ((n = ${#backups[@]} - 1; n >= 0; n--)); do
    backup=${backups[n]}
    if [ -f "$backup" ] && is_object "$backup" && cp -- "$backup" "$settings"; then
      echo "$settings was restored from $backup"
      return
    fi
  done
}

# Removes the lines of a transcript that are no JSON objects: transcript PATH
transcript() {
  local good=$1.good
  if readable "$1" | jq -e 'type == "object" or error' >/dev/null 2>&1 && [ -z "$(tail -c 1 -- "$1")" ]; then
    return
  fi
  # Without room for the copy, the file stays as it is.
  jq -rR '. as $line
    | gsub("\\\\u[dD][89a-fA-F][0-9a-fA-F]{2}"; "\\u0020")
    | select((try (fromjson | type) catch "") == "object") | $line' "$1" >"$good" 2>/dev/null || { rm -f -- "$good"; return; }
  if [ -s "$good" ]; then
    if cmp -s -- "$1" "$good"; then
      rm -f -- "$good"
    elif cmp -s -- <(cat -- "$1"; echo) "$good"; then
      mv -f -- "$good" "$1"
    else
      cp -- "$1" "$1.damaged" && mv -f -- "$good" "$1" || { rm -f -- "$good"; return; }
      echo "$1 had lines that are not JSON; they were removed, and the file as it was is kept as $1.damaged"
    fi
  else
    rm -f -- "$good"
    aside "$1" "had no line of JSON"
  fi
}

shopt -s nullglob
if [ ! -w "$HOME" ] || [ ! -x "$HOME" ]; then
  if [ -O "$HOME" ]; then
    chmod u+rwx -- "$HOME" && echo "$HOME was not accessible; its mode was corrected"
  else
    echo "$HOME belongs to another user and cannot be written; reset the session"
  fi
fi
directory "$claude"
for path in "$claude/projects" "$claude"/projects/* "$claude/backups"; do
  directory "$path"
done
file "$settings"
if [ -f "$settings" ] && ! is_object "$settings"; then
  aside "$settings" "was not valid JSON"
  restore_settings
fi
if [ -n "$conversation" ]; then
  for path in "$claude"/projects/*/"$conversation.jsonl"; do
    file "$path"
    [ -f "$path" ] && transcript "$path"
  done
fi
exit 0
