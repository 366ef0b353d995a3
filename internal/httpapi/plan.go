package httpapi

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"janela/campaigns"
	"janela/internal/tomlfile"
)

// PlanRequest names a definition by its absolute path.
type PlanRequest struct {
	Path    string `json:"path"`
	Rejects bool   `json:"rejects,omitempty"` // send the rejected rows back
}

// PlanReply is what a definition would do. Plan is nil when its faults leave
// nothing to plan; beside faults of its rows it says what could be found out.
type PlanReply struct {
	Plan   *campaigns.Plan `json:"plan,omitempty"`
	Faults []Fault         `json:"faults"`
}

// Fault is one problem of a definition.
type Fault = campaigns.Fault

// CheckReply is what is wrong with a definition.
type CheckReply struct {
	Faults []Fault `json:"faults"`
}

// Faulty reports whether one of the faults forbids the use of the file.
func Faulty(faults []Fault) bool {
	for _, f := range faults {
		if f.Severity == tomlfile.Error.String() {
			return true
		}
	}
	return false
}

func faultsOf(ps tomlfile.Problems) []Fault {
	out := make([]Fault, 0, len(ps))
	for _, p := range ps {
		out = append(out, Fault{File: p.File, Line: p.Line, Column: p.Column, Severity: p.Severity.String(), Message: p.Message, Hint: p.Hint})
	}
	return out
}

// readable answers with the error that keeps a path from being read.
func readable(path string) error {
	if !filepath.IsAbs(path) {
		return invalid("the path of a definition must be absolute")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return invalid("there is no file %s", path)
	case err != nil:
		return invalid("the definition cannot be read: %v", err)
	case info.IsDir():
		return invalid("%s is a folder", path).hint("name its campaign.toml")
	default:
		return nil
	}
}

func (s *Server) plan(w http.ResponseWriter, r *http.Request) error {
	var in PlanRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := readable(in.Path); err != nil {
		return err
	}
	patient(w)
	s.askMeta(r.Context())
	var opt campaigns.PlanOptions
	var rejects *os.File
	if in.Rejects {
		var err error
		if rejects, err = s.temporary(); err != nil {
			return err
		}
		defer func() { _ = rejects.Close() }()
		opt.Rejects = rejects
	}
	plan, problems, err := s.cfg.Campaigns.Plan(r.Context(), in.Path, opt)
	if err != nil {
		return unplanned(err)
	}
	out := PlanReply{Faults: faultsOf(problems)}
	if !problems.HasErrors() || plan.Rows > 0 {
		out.Plan = &plan
	}
	return writeParts(w, out, rejects)
}

// unplanned says that a plan could not be made, where nothing better is known.
func unplanned(err error) error {
	p := problemOf(err)
	if p.Code != CodeInternal {
		return p
	}
	return (&Problem{Title: "the plan cannot be made", Status: http.StatusServiceUnavailable, Code: CodeInternal, Detail: err.Error()}).hint("janela check --offline looks at the file alone; janela doctor looks what is wrong")
}

func (s *Server) check(w http.ResponseWriter, r *http.Request) error {
	var in PlanRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := readable(in.Path); err != nil {
		return err
	}
	patient(w)
	s.askMeta(r.Context())
	problems, err := s.cfg.Campaigns.CheckFile(r.Context(), in.Path)
	if err != nil {
		return err
	}
	return writeJSON(w, CheckReply{faultsOf(problems)})
}

// Offline is what a check without database may know of config.toml. The zero
// Offline knows nothing.
type Offline struct {
	Zone    string
	Numbers []string // nil: config.toml was not read
}

// CheckOffline checks a definition by itself: what only the database or Meta
// could tell is a warning that begins with "not checked:".
func CheckOffline(path string, now time.Time, env Offline) ([]Fault, error) {
	if err := readable(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := readDefinition(f)
	if err != nil {
		return nil, err
	}
	def, doc, problems := campaigns.ParseDefinition(path, data)
	problems = append(problems, campaigns.Check(def, doc, campaigns.CheckEnv{Now: now, DefaultZone: env.Zone, Numbers: env.Numbers, Dir: filepath.Dir(path)})...)
	problems.Sort()
	return faultsOf(problems), nil
}
