package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

var errEnded = errors.New("204")

// r3labs can only GET, so the stream is created first. It resumes by itself.
func r3labs(job Job) string {
	url := job.Base + create(job)
	ctx, leave := context.WithCancel(context.Background())
	received := &Received{job: job, leave: leave, cancel: func() { deleteStream(url) }}
	client := sse.NewClient(url)
	cursor := []byte(job.Cursor)
	client.LastEventID.Store(cursor)
	half := false
	// Without it, it would ask again for 15 minutes when told 204.
	client.ResponseValidator = func(_ *sse.Client, answer *http.Response) error {
		half = false
		if answer.StatusCode == http.StatusOK {
			return nil
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusNoContent {
			return backoff.Permanent(errEnded)
		}
		return errors.New(answer.Status)
	}
	handle := func(event *sse.Event) {
		// Half a frame is the last of its connection.
		if half {
			report("empty", nil)
		}
		// When a connection breaks it hands over what there is of a frame or a comment, and takes its id for the cursor.
		if half = !json.Valid(event.Data); half {
			client.LastEventID.Store(cursor)
			return
		}
		received.event(string(event.Event), event.Data)
		cursor = event.ID
	}
	// It takes a connection that is closed in good order for the end.
	for received.reason == "" {
		err := client.SubscribeRawWithContext(ctx, handle)
		if errors.Is(err, errEnded) {
			return "204"
		}
		if err != nil {
			reportError(err)
		}
	}
	return received.reason
}

// create asks for the address of a stream instead of the stream.
func create(job Job) string {
	request, _ := http.NewRequest(http.MethodPost, job.url(), bytes.NewReader(job.Body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Prefer", "respond-async")
	request.Header.Set("Idempotency-Key", job.Key)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	var created struct {
		URL string `json:"url"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&created); err != nil {
		panic(err)
	}
	return created.URL
}
