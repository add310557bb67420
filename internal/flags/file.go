package flags

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds what is read for one flag; credentials and ACLs of a large
// cluster are a few megabytes.
const maxFile = 16 << 20

// fileScheme marks a value that is the name of a file.
const fileScheme = "file://"

// resolve returns what text stands for: the content of the file that it names,
// without a newline at its end, or itself.
func resolve(text string) (string, error) {
	path, ok := strings.CutPrefix(text, fileScheme)
	if !ok {
		return text, nil
	}
	data, err := read(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(data, "\n"), "\r"), nil
}

func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading a flag's value: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("reading a flag's value: %w", err)
	}
	if len(data) > maxFile {
		return "", fmt.Errorf("the file %s is larger than %s", path, Bytes(maxFile))
	}
	return string(data), nil
}
