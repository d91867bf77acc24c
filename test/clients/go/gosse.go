package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tmaxmax/go-sse"
)

// goSSE resumes by itself, of a POST too.
func goSSE(job Job) string {
	ctx, leave := context.WithCancel(context.Background())
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, job.url(), bytes.NewReader(job.Body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", job.Key)
	if job.Cursor != "" {
		request.Header.Set("Last-Event-ID", job.Cursor)
	}
	var location string
	received := &Received{job: job, leave: leave, cancel: func() { deleteStream(job.Base + location) }}
	client := sse.Client{
		ResponseValidator: func(answer *http.Response) error {
			location = answer.Header.Get("Content-Location")
			return sse.DefaultValidator(answer)
		},
		OnRetry: func(err error, _ time.Duration) { reportError(err) },
	}
	connection := client.NewConnection(request)
	connection.SubscribeToAll(func(event sse.Event) { received.event(event.Type, []byte(event.Data)) })
	if err := connection.Connect(); err != nil && !errors.Is(err, context.Canceled) {
		if strings.Contains(err.Error(), "received 204") {
			return "204"
		}
		reportError(err)
	}
	return received.reason
}
