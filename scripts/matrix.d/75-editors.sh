# Editors and terminals.

group editors

line "vim -es" needs:vim=vim-nox VMALLOC_ARENA=2M VMALLOC_SWAP=128M <<'END'
head -60000 "$text" >text
under vim -u NONE -es -c 'set nomore' -c '%s/\v<([a-z])([a-z]+)>/\2\1/g' -c 'g/zz/m0' -c 'sort /\d\+/ n' -c '%!rev' -c 'w! out' -c 'undo' -c 'w! undone' -c 'qa!' text
sha256sum out undone
END

line "emacs --batch" needs:emacs=emacs-nox VMALLOC_ARENA=4M VMALLOC_SWAP=512M <<'END'
head -30000 "$text" >text
under emacs -Q --batch --eval '(progn
    (find-file "text") (sort-lines nil (point-min) (point-max)) (goto-char (point-min))
    (while (re-search-forward "\\([a-z]+\\) \\([0-9]+\\)" nil t) (replace-match "\\2 \\1"))
    (shell-command-on-region (point-min) (point-max) "rev" nil t)
    (write-region (point-min) (point-max) "out" nil 0)
    (let ((h (make-hash-table :test (quote equal))))
      (dotimes (i 200000) (puthash (format "k%d" i) (make-string (% i 40) ?x) h))
      (garbage-collect)
      (princ (hash-table-count h))))' && sha256sum out
END

line "tmux" needs:tmux=tmux VMALLOC_ARENA=512K VMALLOC_SWAP=64M <<'END'
export TERM=screen SHELL=/bin/sh TMUX_TMPDIR=$PWD
under tmux -L matrix -f /dev/null new-session -d -x 100 -y 40 "cat $text | head -40000; echo the end; sleep 1000"
under tmux -L matrix set -g history-limit 50000
under tmux -L matrix new-window "cat $text | head -40000; echo the end; sleep 1000"
under tmux -L matrix split-window "seq 100000; echo the end; sleep 1000"
ready() { under tmux -L matrix capture-pane -p -t "$1" | grep -q 'the end'; }
until_works ready :1.0; until_works ready :1.1
under tmux -L matrix capture-pane -p -S - -t :1.0 | sha256sum
under tmux -L matrix resize-pane -t :1.0 -x 60 -y 20
under tmux -L matrix capture-pane -p -J -S - -t :1.1 | tr -s '\n' | sha256sum
under tmux -L matrix list-windows -F '#{window_index} #{window_panes}'
server=$(under tmux -L matrix display-message -p '#{pid}')
under tmux -L matrix kill-server
ended() { ! kill -0 "$server"; }
until_works ended
END
