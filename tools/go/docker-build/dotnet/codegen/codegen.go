// Package codegen stands in for the module of this name, which is on no module proxy.
// The provider names this type when it describes itself for C#, and nothing else of the module.
package codegen

// CSharpPackageInfo has the fields that the provider sets.
type CSharpPackageInfo struct {
	PackageReferences    map[string]string `json:"packageReferences,omitempty"`
	RespectSchemaVersion bool              `json:"respectSchemaVersion,omitempty"`
}
