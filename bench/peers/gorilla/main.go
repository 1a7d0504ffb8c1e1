// A peer to compare with: gorilla/websocket as its authors recommend it.
//
//   - WriteBufferPool: the documentation recommends it for "a modest volume of writes across a large number of
//     connections": an idle connection holds no write buffer.
//   - ReadBufferSize and WriteBufferSize 1024, as in the library's own chat example.
//   - Broadcast is that chat example: a hub goroutine, a reader and a writer goroutine per connection, with a
//     PreparedMessage, so that a message is framed once. A queue that is full ends its connection, as there.
//   - GOMAXPROCS = --threads, garbage collection at Go's defaults, TCP_NODELAY (Go's default, set again to be plain),
//     no compression, no logging.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
	WriteBufferPool: &sync.Pool{},
	CheckOrigin:     func(*http.Request) bool { return true },
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	mode := flag.String("mode", "echo", "echo or broadcast")
	threads := flag.Int("threads", 1, "GOMAXPROCS")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)

	handlers := map[string]http.HandlerFunc{"echo": echo, "broadcast": newHub().serve}
	handler, known := handlers[*mode]
	if !known {
		log.Fatalf("--mode %s: echo or broadcast", *mode)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	log.Fatal(http.Serve(listener, handler))
}

func upgrade(w http.ResponseWriter, r *http.Request) *websocket.Conn {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil // the library has answered
	}
	if tcp, ok := conn.UnderlyingConn().(*net.TCPConn); ok {
		tcp.SetNoDelay(true)
	}
	return conn
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn := upgrade(w, r)
	if conn == nil {
		return
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(kind, message); err != nil {
			return
		}
	}
}

type client struct {
	conn *websocket.Conn
	send chan *websocket.PreparedMessage
}

type hub struct {
	clients    map[*client]struct{}
	broadcast  chan *websocket.PreparedMessage
	register   chan *client
	unregister chan *client
}

func newHub() *hub {
	h := &hub{
		clients:    make(map[*client]struct{}),
		broadcast:  make(chan *websocket.PreparedMessage),
		register:   make(chan *client),
		unregister: make(chan *client),
	}
	go h.run()
	return h
}

func (h *hub) run() {
	for {
		select {
		case c := <-h.register:
			h.clients[c] = struct{}{}
		case c := <-h.unregister:
			h.remove(c)
		case message := <-h.broadcast:
			for c := range h.clients {
				select {
				case c.send <- message:
				default:
					h.remove(c)
				}
			}
		}
	}
}

func (h *hub) remove(c *client) {
	if _, present := h.clients[c]; present {
		delete(h.clients, c)
		close(c.send)
	}
}

func (h *hub) serve(w http.ResponseWriter, r *http.Request) {
	conn := upgrade(w, r)
	if conn == nil {
		return
	}
	c := &client{conn: conn, send: make(chan *websocket.PreparedMessage, 256)}
	h.register <- c
	go c.write()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			break
		}
		prepared, err := websocket.NewPreparedMessage(kind, message)
		if err != nil {
			break
		}
		h.broadcast <- prepared
	}
	h.unregister <- c
}

func (c *client) write() {
	defer c.conn.Close()
	for message := range c.send {
		if err := c.conn.WritePreparedMessage(message); err != nil {
			return
		}
	}
}
