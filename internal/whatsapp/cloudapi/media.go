package cloudapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"janela/internal/whatsapp"
)

// slowestUpload is the rate, in bytes a second, below which an upload is given
// up.
const slowestUpload = 64 << 10

// UploadMedia stores a file with Meta for a number and returns its id, valid
// for 30 days (Meta: Upload media). The file is streamed, never held in memory,
// and must have size bytes. Like a send it is tried again only when the first
// try never left.
func (c *Client) UploadMedia(ctx context.Context, numberID, name, mime string, size int64, open func() (io.ReadCloser, error)) (id string, err error) {
	const op = "upload media"
	head, tail, contentType, err := envelope(name, mime)
	if err != nil {
		return "", &Error{Op: op, Class: whatsapp.ClassStopCampaign, NotSent: true, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.sendTimeout+time.Duration(size/slowestUpload)*time.Second)
	defer cancel()

	var openErr error
	body := retryablehttp.ReaderFunc(func() (io.Reader, error) {
		file, err := open()
		if err != nil {
			openErr = err
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(head), io.LimitReader(file, size), bytes.NewReader(tail)), file}, nil
	})
	total := int64(len(head)) + size + int64(len(tail))
	err = c.post(ctx, op, c.base+"/"+url.PathEscape(numberID)+"/media", contentType, total, body, func(b []byte) error {
		var parsed struct {
			ID text `json:"id"`
		}
		if json.Unmarshal(b, &parsed) != nil || parsed.ID == "" {
			return errors.New("the answer names no media id")
		}
		id = string(parsed.ID)
		return nil
	})
	if openErr != nil {
		return "", fmt.Errorf("%s: %w", op, openErr)
	}
	return id, err
}

// envelope returns what stands before and after the file in the form.
func envelope(name, mime string) (head, tail []byte, contentType string, err error) {
	if mime == "" || strings.ContainsAny(mime, "\r\n\"") {
		return nil, nil, "", errors.New("the media type is missing or malformed; write one such as image/jpeg")
	}
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, field := range [][2]string{{"messaging_product", "whatsapp"}, {"type", mime}} {
		if err := form.WriteField(field[0], field[1]); err != nil {
			return nil, nil, "", err
		}
	}
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", multipart.FileContentDisposition("file", name))
	h.Set("Content-Type", mime)
	if _, err := form.CreatePart(h); err != nil {
		return nil, nil, "", err
	}
	n := b.Len()
	if err := form.Close(); err != nil {
		return nil, nil, "", err
	}
	return b.Bytes()[:n:n], b.Bytes()[n:], form.FormDataContentType(), nil
}
