package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// Role says what a child process is.
type Role string

// The roles.
const (
	RoleSink   Role = "sink"   // stands where Meta would be
	RolePlain  Role = "plain"  // a loop of requests and nothing else
	RoleBare   Role = "bare"   // an insert of rows and nothing else
	RoleDecode Role = "decode" // verifies and decodes callbacks and nothing else
	RoleDaemon Role = "daemon" // the real daemon
)

// request is what a child is asked to do.
type request struct {
	Do   string          `json:"do"`
	Args json.RawMessage `json:"args,omitempty"`
}

type response struct {
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// Child is the life of a child process: it does what lines of in ask for, and
// answers on out, until in ends.
func Child(ctx context.Context, role Role, in io.Reader, out io.Writer) error {
	do, end := map[string]func(context.Context, json.RawMessage) (any, error){}, func() error { return nil }
	switch role {
	case RoleSink:
		s := newSink()
		do, end = s.verbs(), s.close
	case RolePlain:
		do["run"] = verb(plainLoop)
	case RoleBare:
		do["run"] = verb(bareInsert)
	case RoleDecode:
		do["run"] = verb(decodeLoop)
	case RoleDaemon:
		p := &process{}
		do, end = p.verbs(), p.close
	default:
		return fmt.Errorf("%q is no role of a child", role)
	}
	err := obey(ctx, do, in, out)
	return errors.Join(err, end())
}

func obey(ctx context.Context, do map[string]func(context.Context, json.RawMessage) (any, error), in io.Reader, out io.Writer) error {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var req request
		if err := requests.Decode(&req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var resp response
		fn, ok := do[req.Do]
		if !ok {
			resp.Error = fmt.Sprintf("%q is not understood", req.Do)
		} else if result, err := fn(ctx, req.Args); err != nil {
			resp.Error = err.Error()
		} else if resp.Result, err = json.Marshal(result); err != nil {
			return err
		}
		if err := answers.Encode(resp); err != nil {
			return err
		}
	}
}

// verb makes a function with typed arguments one that a child can be asked for.
func verb[A, R any](fn func(context.Context, A) (R, error)) func(context.Context, json.RawMessage) (any, error) {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var args A
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &args); err != nil {
				return nil, err
			}
		}
		return fn(ctx, args)
	}
}

// child is a process that was started.
type child struct {
	role    Role
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	said    tail
}

// start starts a child. It ends with stop, or with the process that started it.
func (c *Config) start(ctx context.Context, role Role) (*child, error) {
	args := append(append([]string{}, c.Self[1:]...), string(role))
	k := &child{role: role, cmd: exec.CommandContext(ctx, c.Self[0], args...)} // #nosec: this program itself
	k.cmd.Stderr = &k.said
	k.cmd.Env = append(os.Environ(), c.SelfEnv...)
	var err error
	if k.in, err = k.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	k.answers = json.NewDecoder(bufio.NewReader(out))
	if err := k.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the %s: %w", role, err)
	}
	return k, nil
}

// call asks the child for something; result may be nil.
func (k *child) call(do string, args, result any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(k.in).Encode(request{do, raw}); err != nil {
		return k.gone(do, err)
	}
	var resp response
	if err := k.answers.Decode(&resp); err != nil {
		return k.gone(do, err)
	}
	if resp.Error != "" {
		return fmt.Errorf("the %s, asked to %s: %s%s", k.role, do, resp.Error, k.said.text())
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(resp.Result, result)
}

func (k *child) gone(do string, err error) error {
	return fmt.Errorf("the %s ended before it could %s: %w%s", k.role, do, err, k.said.text())
}

// stop ends the child and waits for it. It may be called again.
func (k *child) stop() error {
	if k == nil || k.cmd == nil {
		return nil
	}
	_ = k.in.Close()
	err := k.cmd.Wait()
	k.cmd = nil
	if err != nil {
		return fmt.Errorf("the %s did not end well: %w%s", k.role, err, k.said.text())
	}
	return nil
}

// tail keeps the last of what a child said on standard error.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.b) == 0 {
		return ""
	}
	return "\nit said:\n" + string(bytes.TrimSpace(t.b))
}
