package httpapi

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"time"

	"janela/campaigns"
	"janela/otp"
)

// maxUpload bounds a definition with its files, in bytes.
const maxUpload = 512 << 20

// planView is what an upload would do. Plan is left out when faults leave nothing
// to plan.
type planView struct {
	ID     string          `json:"id" doc:"of the campaign"`
	Plan   *campaigns.Plan `json:"plan,omitempty"`
	Faults []Fault         `json:"faults" doc:"of an upload that was taken: warnings"`
}

// planUpload says what an upload would do, and keeps nothing of it.
func (c *call) planUpload() (answer, error) {
	out := planView{ID: "plan", Faults: []Fault{}}
	err := c.server.withUpload(c.w, c.r, &out, upload{named: true}, func(*campaigns.Upload) error { return nil })
	return fine(out), err
}

// putCampaign puts an upload into the campaigns folder, unless it has faults.
func (c *call) putCampaign() (answer, error) {
	out := planView{ID: c.words[0], Faults: []Fault{}}
	if !campaigns.ValidID(out.ID) {
		return answer{}, malformed("a campaign's id has a to z, 0 to 9 and -, at most 64")
	}
	err := c.server.withUpload(c.w, c.r, &out, upload{put: true}, func(u *campaigns.Upload) error {
		if Faulty(out.Faults) {
			p := publicProblem(codeDefinition, "nothing was written; faults says what is wrong, and where")
			p.Faults = out.Faults
			return p
		}
		return campaignProblem(u.Put(c.r.Context(), c.actor()))
	})
	return answer{status: http.StatusAccepted, body: line(out), location: "/v1/campaigns/" + out.ID}, err
}

// upload says how one is taken.
type upload struct {
	put   bool // it may become a campaign
	named bool // by its definition, where that has an id
	form  bool // a browser's: of a file that was not chosen there is an empty part

	// audience is the name that a part of this name gets, whatever the file is
	// called where it comes from; "": there is no such part.
	audience string
}

// withUpload receives an upload, judges it, and hands it on.
func (s *Server) withUpload(w http.ResponseWriter, r *http.Request, out *planView, how upload, then func(u *campaigns.Upload) error) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		p := malformed("the body must be multipart/form-data: a part definition, and a part file for every file that it names")
		p.Status = http.StatusUnsupportedMediaType
		return p
	}
	if r.ContentLength > maxUpload {
		return tooLarge(maxUpload)
	}
	u, err := s.cfg.Campaigns.NewUpload(out.ID, how.put)
	if err != nil {
		return err
	}
	defer func() { _ = u.Remove() }()
	body := &halting{r.Body, http.NewResponseController(w)}
	if err := receive(u, multipart.NewReader(http.MaxBytesReader(w, io.NopCloser(body), maxUpload), params["boundary"]), how); err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a large audience takes its time
	s.askMeta(r.Context())
	if how.named {
		if out.ID, err = u.Named(); err != nil {
			return err
		}
	}
	plan, problems, err := u.Plan(r.Context(), campaigns.PlanOptions{})
	if err != nil {
		return unreadable(err)
	}
	out.Faults = faultsOf(problems)
	if !problems.HasErrors() || plan.Rows > 0 {
		out.Plan = &plan
	}
	return then(u)
}

// halting moves the connection's time limit on with every read.
type halting struct {
	r io.Reader
	c *http.ResponseController
}

// Read implements io.Reader.
func (h *halting) Read(b []byte) (int, error) {
	_ = h.c.SetReadDeadline(time.Now().Add(patience)) // in memory there is none
	return h.r.Read(b)
}

// receive reads the parts of an upload into it.
func receive(u *campaigns.Upload, parts *multipart.Reader, how upload) error {
	defined := false
	for {
		part, err := parts.NextRawPart()
		switch {
		case errors.Is(err, io.EOF):
			if !defined {
				return publicProblem(codeUpload, "the part definition is missing: the TOML of the campaign")
			}
			return nil
		case err != nil:
			return broke(err)
		}
		switch part.FormName() {
		case "definition":
			if defined {
				return publicProblem(codeUpload, "there are two parts definition")
			}
			defined = true
			err = u.Definition(part)
		case "file":
			if how.form && part.FileName() == "" {
				continue
			}
			err = u.File(part.FileName(), part)
		case "audience":
			switch {
			case how.audience == "":
				return publicProblem(codeUpload, "there is a part that is not known; known are definition and file")
			case part.FileName() == "":
				continue
			}
			err = u.File(how.audience, part)
		default:
			return publicProblem(codeUpload, "there is a part that is not known; known are definition and file")
		}
		switch {
		case errors.Is(err, campaigns.ErrFileName):
			return publicProblem(codeUpload, "a file's name has letters, digits, spaces, dots, - and _, at most 128, and is no .toml")
		case errors.Is(err, fs.ErrExist):
			return publicProblem(codeUpload, "two files have the same name")
		case errors.Is(err, campaigns.ErrTooLarge):
			return tooLarge(campaigns.MaxDefinition)
		case err != nil:
			return broke(err)
		}
	}
}

// broke says why an upload did not arrive whole.
func broke(err error) error {
	var large *http.MaxBytesError
	var path *fs.PathError
	switch {
	case errors.As(err, &large):
		return tooLarge(maxUpload)
	case errors.As(err, &path): // ours
		return err
	default:
		return publicProblem(codeUpload, "the body did not arrive whole, or its parts cannot be told apart")
	}
}

// unreadable says that a plan could not be made now, where the upload is not to
// blame.
func unreadable(err error) error {
	if errors.Is(err, campaigns.ErrUnsynced) {
		p := publicProblem(otp.CodeChannel, "Meta has not been asked for its templates yet")
		p.RetryAfter = 5
		return p
	}
	return campaignProblem(err)
}
