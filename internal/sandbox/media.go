package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// mediaLife is how long an uploaded file can be sent (Meta: Media).
const mediaLife = 30 * 24 * time.Hour

// media is what is remembered of an uploaded file; its bytes are not kept.
type media struct {
	ID     string `json:"id"`
	Number string `json:"number,omitempty"` // that uploaded it, and alone can send it
	MIME   string `json:"mime_type"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"file_size"`
	At     int64  `json:"at"` // Unix milliseconds
}

// mediaLimits are the types Meta takes and the most bytes of each.
var mediaLimits = map[string]int64{
	"image/jpeg": 5 << 20, "image/png": 5 << 20, "image/webp": 500 << 10,
	"video/mp4": 16 << 20, "video/3gpp": 16 << 20,
	"audio/aac": 16 << 20, "audio/mp4": 16 << 20, "audio/mpeg": 16 << 20, "audio/amr": 16 << 20, "audio/ogg": 16 << 20,
	"text/plain": 100 << 20, "application/pdf": 100 << 20,
	"application/msword": 100 << 20, "application/vnd.ms-excel": 100 << 20, "application/vnd.ms-powerpoint": 100 << 20,
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   100 << 20,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         100 << 20,
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": 100 << 20,
}

// postMedia is POST /{number}/media: a multipart form of messaging_product,
// type and file.
func (s *Sandbox) postMedia(c *call) {
	m, e := s.readMedia(c)
	if e == nil {
		s.mu.Lock()
		err := s.note(line{Media: m})
		if err == nil {
			s.media[m.ID] = *m
		}
		s.mu.Unlock()
		if err != nil {
			e = refuse(2, "the sandbox cannot write its journal")
		}
	}
	if e != nil {
		s.answerError(c.w, e)
		return
	}
	s.answer(c.w, http.StatusOK, map[string]string{"id": m.ID})
}

func (s *Sandbox) readMedia(c *call) (*media, *graphError) {
	form, err := c.r.MultipartReader()
	if err != nil {
		return nil, badParameter("the body must be multipart/form-data")
	}
	var m *media
	product, declared := "", ""
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, badParameter("the multipart body could not be read")
		}
		switch part.FormName() {
		case "messaging_product", "type":
			text, err := io.ReadAll(io.LimitReader(part, 256))
			if err != nil {
				return nil, badParameter("the multipart body could not be read")
			}
			if part.FormName() == "type" {
				declared = string(text)
			} else {
				product = string(text)
			}
		case "file":
			h := sha256.New()
			size, err := io.Copy(h, io.LimitReader(part, 100<<20+1))
			if err != nil {
				return nil, badParameter("the file could not be read")
			}
			typ, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
			sum := hex.EncodeToString(h.Sum(nil))
			m = &media{MIME: typ, SHA256: sum, Size: size, At: time.Now().UnixMilli()}
		default:
			return nil, badParameter("Unexpected key %q on param %q.", part.FormName(), "media")
		}
	}
	switch {
	case product != "whatsapp":
		return nil, badParameter("The parameter messaging_product is required.")
	case m == nil || m.Size == 0:
		return nil, badParameter("The parameter file is required.")
	}
	limit, known := mediaLimits[m.MIME]
	if !known {
		return nil, badParameter("Param file must be a file with one of the types Meta takes. Received file of type '%s'.", m.MIME)
	}
	if base, _, _ := strings.Cut(declared, ";"); declared != "" && strings.TrimSpace(base) != m.MIME {
		return nil, badParameter("Param type is '%s', but the file is of type '%s'.", declared, m.MIME)
	}
	if m.Size > limit {
		return nil, refuse(131053, "Media file size too big. Files of type %s may have %d bytes.", m.MIME, limit)
	}
	m.Number = c.id
	s.mu.Lock()
	defer s.mu.Unlock()
	m.ID = decimal(s.cfg.Seed, 16, "media", c.id, m.MIME, m.SHA256)
	for n := 2; s.media[m.ID].ID != ""; n++ { // another upload of the same has another id
		m.ID = decimal(s.cfg.Seed, 16, "media", c.id, m.MIME, m.SHA256, strconv.Itoa(n))
	}
	return m, nil
}

func (s *Sandbox) mediaAlive(id string, now time.Time) bool {
	m, ok := s.media[id]
	return ok && now.UnixMilli() < m.At+mediaLife.Milliseconds()
}

// shown is a file in a message, and where it stands there.
type shown struct {
	*mediaSend
	path string // template['components'][0]['parameters'][0]['image']
}

// checkMedia refuses ids that are not there: never uploaded, of another number,
// or older than 30 days. The words are Meta's, after programs that quote them.
func (s *Sandbox) checkMedia(num *number, files []shown, now time.Time) *graphError {
	for _, f := range files {
		if f.ID == "" {
			continue
		}
		if m := s.media[f.ID]; !s.mediaAlive(f.ID, now) || m.Number != "" && m.Number != num.ID {
			e := refuse(100, "")
			e.message = "(#100) Param " + f.path + "['id'] is not a valid whatsapp business account media attachment ID"
			return e
		}
	}
	return nil
}

// ForgetMedia forgets every file that was uploaded: Meta does, sometimes.
func (s *Sandbox) ForgetMedia() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.media {
		if err := s.note(line{MediaGone: id}); err != nil {
			return err
		}
		delete(s.media, id)
	}
	return nil
}

// serveMedia is GET and DELETE /{media}.
func (s *Sandbox) serveMedia(c *call, m media) {
	s.mu.Lock()
	alive := s.mediaAlive(m.ID, time.Now())
	var err error
	if alive && c.r.Method == http.MethodDelete {
		if err = s.note(line{MediaGone: m.ID}); err == nil {
			delete(s.media, m.ID)
		}
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.answerError(c.w, refuse(2, "the sandbox cannot write its journal"))
	case alive && c.r.Method == http.MethodGet:
		s.answer(c.w, http.StatusOK, map[string]any{
			"messaging_product": "whatsapp", "id": m.ID, "mime_type": m.MIME, "sha256": m.SHA256, "file_size": m.Size,
			"url": "https://lookaside.example/whatsapp_business/attachments/?mid=" + m.ID,
		})
	case alive && c.r.Method == http.MethodDelete:
		s.answer(c.w, http.StatusOK, map[string]bool{"success": true})
	default:
		s.answerError(c.w, noObject(c.r.Method, c.id))
	}
}
