// Package java stands in for the module of this name, which is on no module proxy.
// The provider names this type when it describes itself for Java, and nothing else of the module.
package java

// PackageInfo has the fields that the provider sets.
type PackageInfo struct {
	BuildFiles                      string            `json:"buildFiles,omitempty"`
	Dependencies                    map[string]string `json:"dependencies,omitempty"`
	GradleNexusPublishPluginVersion string            `json:"gradleNexusPublishPluginVersion,omitempty"`
}
