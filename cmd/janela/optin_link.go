package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"net/url"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newLink(a *app) *cobra.Command {
	var number, word, picture string
	cmd := &cobra.Command{
		Use:   "link [--number NAME] [--keyword WORD] [--qr out.png]",
		Short: "Make the link by which people sign up",
		Long: "Makes a wa.me link: it opens WhatsApp with the keyword already written. Who sends it agrees, and the ledger keeps their message with the\n" +
			"text of config.toml as the proof. Publish that text beside the link, word for word.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON)
	fl := cmd.Flags()
	fl.StringVar(&number, "number", "", "the number's name; left out: the only one")
	fl.StringVar(&word, "keyword", "", "one of [[optin.keywords]]; left out: the first")
	fl.StringVar(&picture, "qr", "", "write the link as a QR code to this file (PNG)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Link(ctx, number, word)
			if err != nil {
				return err
			}
			link := waLink(out.Phone, out.Word)
			if picture != "" {
				code, err := qrPicture(link)
				if err != nil {
					return err
				}
				if err := toFile(picture, func(w io.Writer) error { _, err := w.Write(code); return err }); err != nil {
					return err
				}
			}
			if as.value == asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					Link string `json:"link"`
					httpapi.LinkReply
				}{link, out})
			}
			return printFacts(cmd.OutOrStdout(), [][]string{{"link", link}, {"keyword", out.Word}, {"agrees to", strings.Join(out.Categories, ", ")},
				{"number", out.Number + " " + out.Display}, {"publish", out.Text}, {"written", picture}})
		})
	}
	return cmd
}

// waLink opens WhatsApp with a text for a number (Meta: Click to chat).
func waLink(digits, text string) string {
	return "https://wa.me/" + digits + "?text=" + strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

const (
	modulePixels = 8
	quietModules = 4 // white around it (ISO/IEC 18004)
)

// qrPicture draws a QR code as PNG.
func qrPicture(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, err
	}
	side := code.Bounds().Dx()
	if code, err = barcode.Scale(code, side*modulePixels, side*modulePixels); err != nil {
		return nil, err
	}
	quiet := quietModules * modulePixels
	whole := image.NewGray(image.Rect(0, 0, side*modulePixels+2*quiet, side*modulePixels+2*quiet))
	draw.Draw(whole, whole.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(whole, code.Bounds().Add(image.Pt(quiet, quiet)), code, code.Bounds().Min, draw.Src)
	var out bytes.Buffer
	err = png.Encode(&out, whole)
	return out.Bytes(), err
}
