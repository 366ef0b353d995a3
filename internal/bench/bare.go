package bench

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"janela/internal/store"
)

// bareRows is how many rows a transaction of the bare insert takes.
const bareRows = 1000

type bareArgs struct {
	Dir string `json:"dir"` // of the world
	N   int    `json:"n"`
}

// bareInsert reads an audience as the standard library does and inserts what a
// message keeps of each row into a table without an index, and does nothing else.
func bareInsert(_ context.Context, a bareArgs) (run PlainRun, err error) {
	f, err := os.Open(filepath.Join(a.Dir, audienceFile))
	if err != nil {
		return run, err
	}
	defer f.Close()
	dir, err := os.MkdirTemp(filepath.Dir(a.Dir), "janela-bench-bare-")
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	before, begun := usageNow(), time.Now()
	n, err := store.Bare(filepath.Join(dir, "bare.db"), 6, bareRows, messageRows(f))
	if err == nil && n != a.N {
		err = errors.New("the bare insert saw another number of rows")
	}
	return PlainRun{Seconds: time.Since(begun).Seconds(), CPU: usageNow().CPU - before.CPU}, err
}

// messageRows are run, contact, address, parameters, line and deadline.
func messageRows(f io.Reader) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		rows := csv.NewReader(f)
		rows.ReuseRecord = true
		if _, err := rows.Read(); err != nil { // the header
			yield(nil, err)
			return
		}
		var out [6]any
		var params []byte
		for line := 2; ; line++ {
			row, err := rows.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			params = append(append(params[:0], `[{"type":"body","parameters":[{"type":"text","text":"`...), row[1]...)
			params = append(append(append(params, `"},{"type":"text","text":"`...), row[2]...), `"}]}]`...)
			out = [6]any{int64(1), int64(line), row[0], string(params), int64(line), int64(0)}
			if !yield(out[:], nil) {
				return
			}
		}
	}
}
