package codec

import (
	"encoding/json"

	"github.com/setpointhq/setpoint/resource"
)

// AppendAttributes appends the JSON of a, "{}" when there is nothing in it.
func AppendAttributes(dst []byte, a *resource.Attributes) ([]byte, error) {
	if isEmpty(a) {
		return append(dst, "{}"...), nil
	}
	p, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return append(dst, p...), nil
}

// ParseAttributes reads JSON that [AppendAttributes], or a person, wrote.
func ParseAttributes(p []byte, a *resource.Attributes) error {
	if len(p) == 0 || string(p) == "{}" {
		return nil
	}
	return json.Unmarshal(p, a)
}

func isEmpty(a *resource.Attributes) bool {
	return len(a.Labels) == 0 && len(a.Annotations) == 0 && len(a.Owners) == 0 && len(a.Finalizers) == 0 &&
		len(a.Needs) == 0 && len(a.Conditions) == 0 && a.Observed == 0 && len(a.Waits) == 0
}
