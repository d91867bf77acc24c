package main

import (
	"encoding/json"
	"net/http"
	"os"
)

// Job is what the suite asks for: see `Job` in ../client-program.ts.
type Job struct {
	Client     string          `json:"client"`
	Base       string          `json:"base"`
	Key        string          `json:"key"`
	Cursor     string          `json:"cursor"`
	Body       json.RawMessage `json:"body"`
	AfterFirst string          `json:"afterFirst"`
}

func (job Job) url() string { return job.Base + "/v1/chat" }

// report prints one JSON line for each thing that happens to a client.
func report(kind string, fields map[string]string) {
	line := map[string]string{"type": kind}
	for name, value := range fields {
		line[name] = value
	}
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

func reportError(err error) {
	report("error", map[string]string{"message": err.Error()})
}

// Received is what a client has received, told as it comes.
type Received struct {
	job    Job
	text   string
	reason string
	// leave closes the connection, cancel ends the stream by its address.
	leave  func()
	cancel func()
}

func (received *Received) add(text string) {
	if text == "" || received.reason != "" {
		return
	}
	received.text += text
	report("text", map[string]string{"text": text})
	afterFirst := received.job.AfterFirst
	received.job.AfterFirst = "stay"
	switch afterFirst {
	case "leave":
		received.reason = "left"
		received.leave()
	case "cancel":
		received.cancel()
	}
}

// restartWith takes the same answer again, from its beginning on: only what is new of it counts.
func (received *Received) restartWith(text string) {
	if len(text) > len(received.text) {
		received.add(text[len(received.text):])
	}
}

// event takes an event of the native protocol.
func (received *Received) event(name string, data []byte) {
	if received.reason != "" {
		return
	}
	if len(data) == 0 {
		report("empty", nil)
		return
	}
	var fields struct {
		Content      string `json:"content"`
		FinishReason string `json:"finish_reason"`
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		reportError(err)
		return
	}
	if name == "delta" {
		received.add(fields.Content)
	}
	if name == "done" {
		received.reason = fields.FinishReason
		received.leave()
	}
}

func deleteStream(url string) {
	request, _ := http.NewRequest(http.MethodDelete, url, nil)
	if answer, err := http.DefaultClient.Do(request); err != nil {
		reportError(err)
	} else {
		answer.Body.Close()
	}
}

func main() {
	var job Job
	if err := json.Unmarshal([]byte(os.Args[1]), &job); err != nil {
		panic(err)
	}
	clients := map[string]func(Job) string{"r3labs/sse": r3labs, "go-sse": goSSE, "openai-go": openAI}
	report("end", map[string]string{"reason": clients[job.Client](job)})
}
