// Package callers lets programs that call iptables run on our programs, and on netfilter's own.
//
// In: a scenario of testdata, which sets up, changes and stops one program (ufw, firewalld and so
// on), or gives the commands that one gives (Docker, kube-proxy and so on); a set of programs. Out:
// all that was printed, with the rules after each step; or how long each step took. Refused: hosts
// for which scripts/callers has not laid out the packages.
//
// A scenario is a bash script; host.sh, which plays it in namespaces of its own, has its words. The
// sequences of commands are written down from what is public of the programs that give them.
//
//	steps, err := callers.Time(callers.Setup{Programs: callers.Ours}, "kube:5000")
package callers
