package roster

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxCSV bounds what ParseCSV reads, in bytes.
const MaxCSV = 4 << 20

// Columns of the seats' CSV file. The first line names them, in any order;
// seat must be there, and no other may.
var Columns = []string{"seat", "pbx_url", "pbx_domain", "pbx_user", "pbx_auth", "pbx_password", "agents"}

// CSVError names the place of a mistake, both counted from 1.
type CSVError struct {
	Line, Column int
	Msg          string
}

func (e *CSVError) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// ParseCSV reads seats from RFC 4180 text in UTF-8. Either all of it is good,
// or the error names the first mistake. Errors never repeat a password.
func ParseCSV(b []byte) ([]New, error) {
	if len(b) > MaxCSV {
		return nil, &CSVError{Line: 1, Msg: fmt.Sprintf("the file is larger than %d bytes", MaxCSV)}
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // spreadsheets write it
	if !utf8.Valid(b) {
		return nil, &CSVError{Line: 1, Msg: "the file is not UTF-8 text"}
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord = -1 // counted below, with better words
	head, err := r.Read()
	if err == io.EOF {
		return nil, &CSVError{Line: 1, Msg: "the file is empty; the first line must name the columns: " + strings.Join(Columns, ",")}
	}
	if err != nil {
		return nil, csvError(err)
	}
	col := map[string]int{}
	for i, name := range head {
		if !slices.Contains(Columns, name) {
			return nil, &CSVError{1, i + 1, fmt.Sprintf("unknown column %.40q; the columns are %s", name, strings.Join(Columns, ", "))}
		}
		if _, twice := col[name]; twice {
			return nil, &CSVError{1, i + 1, fmt.Sprintf("column %q is there twice", name)}
		}
		col[name] = i
	}
	if _, ok := col["seat"]; !ok {
		return nil, &CSVError{Line: 1, Msg: `there is no column "seat"`}
	}
	var out []New
	seen := map[string]int{}
	for {
		rec, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := r.FieldPos(0)
		if len(rec) != len(head) {
			return nil, &CSVError{Line: line, Msg: fmt.Sprintf("%d fields, the first line has %d", len(rec), len(head))}
		}
		n := New{}
		for name, i := range col {
			v := rec[i]
			if strings.TrimSpace(v) != v {
				return nil, &CSVError{line, i + 1, "blanks around the value"}
			}
			switch name {
			case "seat":
				n.Name = v
			case "pbx_url":
				n.URL = v
			case "pbx_domain":
				n.Domain = v
			case "pbx_user":
				n.User = v
			case "pbx_auth":
				n.Auth = v
			case "pbx_password":
				n.Password = v
			case "agents":
				n.Agents = strings.Fields(v)
			}
		}
		if f, err := n.check(); err != nil {
			return nil, &CSVError{line, col[f] + 1, err.Error()}
		}
		if first, twice := seen[n.Name]; twice {
			return nil, &CSVError{line, col["seat"] + 1, fmt.Sprintf("seat %q stands in line %d already", n.Name, first)}
		}
		seen[n.Name] = line
		out = append(out, n)
	}
	if len(out) == 0 {
		return nil, &CSVError{Line: 2, Msg: "there is no seat in the file"}
	}
	return out, nil
}

// csvError keeps the place of the reader's error. Its text repeats no field.
func csvError(err error) error {
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		return &CSVError{pe.Line, pe.Column, pe.Err.Error()}
	}
	return err
}
