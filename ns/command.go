package ns

// A Command is a program that is to be started; an *exec.Cmd is one.
type Command interface {
	Start() error
	Wait() error
}
