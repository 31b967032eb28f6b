// The scripts that bind a shell's completion to `gantry __complete`.

/** Of bash 4.4 or newer; needs no other package. */
const bash = `# bash completion of gantry: source <(gantry completion bash)
_gantry() {
  local words=() rest=\${COMP_LINE:0:COMP_POINT} index part
  # bash ends words at ":" and "=" too; pieces without a space between them are put together again.
  for ((index = 0; index <= COMP_CWORD; index++)); do
    part=\${COMP_WORDS[index]}
    if [[ \${#words[@]} -eq 0 || $rest == [[:space:]]* ]]; then
      rest=\${rest#"\${rest%%[![:space:]]*}"}
      words+=("")
    fi
    [[ $rest == "$part"* ]] || part=$rest
    words[\${#words[@]}-1]+=$part
    rest=\${rest#"$part"}
  done
  local current=\${words[\${#words[@]}-1]} cut="" line out directive
  # What bash takes for the word begins behind the last of its breaks.
  [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && cut=\${current%"\${current##*:}"}
  [[ $COMP_WORDBREAKS == *=* && \${current#"$cut"} == *=* ]] && cut=\${current%"\${current##*=}"}
  out=$("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  directive=\${out##*:}
  COMPREPLY=()
  while IFS= read -r line; do
    [[ $line == :* || -z $line ]] && continue
    line=\${line%%$'\\t'*}
    COMPREPLY+=("\${line#"$cut"}")
  done <<<"$out"
  ((directive & 2)) && compopt -o nospace
  if ((directive & 16)); then
    compopt -o dirnames
  elif ! ((directive & 4)); then
    if [[ \${#COMPREPLY[@]} -eq 0 ]]; then
      compopt -o default
    else
      while IFS= read -r line; do
        [[ -d $line ]] && line+=/
        COMPREPLY+=("\${line#"$cut"}")
      done < <(compgen -f -- "$current")
    fi
  fi
}
complete -F _gantry gantry
`;

const zsh = `#compdef gantry
# zsh completion of gantry: source <(gantry completion zsh), or a file _gantry in a directory of $fpath
_gantry() {
  local out line word about directive
  local -a lines names plain
  out=$("\${words[1]}" __complete -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)
  lines=("\${(@f)out}")
  directive=\${lines[-1]#:}
  lines[-1]=()
  for line in $lines; do
    word=\${line%%$'\\t'*} about=\${line#*$'\\t'}
    names+=("\${word//:/\\\\:}\${about:+:$about}")
  done
  plain=()
  ((directive & 2)) && plain=(-S '')
  ((\${#names})) && _describe gantry names $plain
  if ((directive & 16)); then
    _files -/
  elif ! ((directive & 4)); then
    _files
  fi
  return 0
}
if [[ \${funcstack[1]} == _gantry ]]; then
  _gantry
else
  compdef _gantry gantry
fi
`;

const fish = `# fish completion of gantry: gantry completion fish | source
function __gantry_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    set -l directive (string replace : "" -- $lines[-1])
    test (count $lines) -gt 1; and printf '%s\\n' $lines[1..-2]
    if test (math "bitand($directive, 16)") -ne 0
        __fish_complete_directories "$current"
    else if test (math "bitand($directive, 4)") -eq 0
        __fish_complete_path "$current"
    end
end
complete -c gantry -f -a '(__gantry_complete)'
`;

/** By the shell's name. */
export const completionScripts: ReadonlyMap<string, string> = new Map([
  ["bash", bash],
  ["fish", fish],
  ["zsh", zsh],
]);
