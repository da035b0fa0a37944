// The main program of Pulumi's Kubernetes provider: its own one embeds two files that its repository generates.
// Both are read from the folder of this program, where tools/toolchain.py has put them.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// version is stamped by the linker.
var version string

func main() {
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	folder := filepath.Dir(program)
	var schema map[string]any
	if err := json.Unmarshal(read(folder, "schema.json"), &schema); err != nil {
		log.Fatal(err)
	}
	schema["version"] = version
	stamped, err := json.Marshal(schema)
	if err != nil {
		log.Fatal(err)
	}
	provider.Serve("kubernetes", version, stamped, read(folder, "terraform-mapping.json"))
}

func read(folder, name string) []byte {
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		log.Fatal(err)
	}
	return content
}
