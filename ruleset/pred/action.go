package pred

// Action is what a rule does with a packet that it matches: a verdict, or an effect.
type Action struct {
	Op     Op
	Chain  string // Jump, Goto
	Effect Effect // Do
}

// Op is the kind of an Action.
type Op uint8

// The kinds of actions.
const (
	Continue Op = iota // no target: count and go on
	Accept
	Drop
	Return
	Jump
	Goto
	Do // an effect
	Up // early stage: the packet goes up to the hooks, which judge it
)

// Doing is the action that has an effect.
func Doing(e Effect) Action { return Action{Op: Do, Effect: e} }

// Ends says whether the packet never meets the rule behind this one.
func (a *Action) Ends() bool {
	switch a.Op {
	case Accept, Drop, Return, Goto, Up:
		return true
	case Do:
		return Ends(a.Effect)
	}
	return false
}

// String is the action in plans.
func (a Action) String() string {
	switch a.Op {
	case Jump, Goto:
		return a.Op.String() + " " + a.Chain
	case Do:
		return a.Effect.String()
	}
	return a.Op.String()
}

// String names the kind.
func (o Op) String() string {
	return [...]string{"continue", "accept", "drop", "return", "jump", "goto", "do", "up"}[o]
}
